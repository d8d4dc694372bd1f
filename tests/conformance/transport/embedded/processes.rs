//! Real processes on one file, and their sudden end.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use cqrs_core::{
    QueueName, SecretUrl,
    transport::{
        Subscriber, Subscription, Transport,
        embedded::{Embedded, EmbeddedConfig},
    },
};

use super::File;
use crate::fixture::{Fixture, messages, next, number, numbers, publish, subscription, take};

const ROLE: &str = "CQRS_TEST_ROLE";
const FILE: &str = "CQRS_TEST_FILE";
const QUEUE: &str = "CQRS_TEST_QUEUE";

/// This test executable again, as another process.
struct Process {
    child: Child,
    /// Open to the end: a process that cannot report any more would end before it is killed.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(role: &str, file: &File, queue: &QueueName) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "embedded::processes::other_process",
                "--ignored",
                "--nocapture",
            ])
            .env(ROLE, role)
            .env(FILE, file.config().path)
            .env(QUEUE, queue.as_str())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it reports, one number a line.
    fn reports(&mut self) -> impl Iterator<Item = usize> {
        self.lines
            .by_ref()
            .filter_map(|line| line.ok()?.strip_prefix("report ")?.parse().ok())
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests of this file, as a process of its own"]
#[expect(clippy::print_stdout, reason = "its parent reads it")]
async fn other_process() {
    let variable = cqrs_tests::services::variable;
    let url = SecretUrl::new(format!("embedded://{}", variable(FILE)));
    let transport = Embedded::new(EmbeddedConfig::from_url(&url).unwrap());
    let queue = QueueName::new(&variable(QUEUE)).unwrap();
    match variable(ROLE).as_str() {
        "publisher" => {
            let mut publisher = transport.publisher().await.unwrap();
            for n in (0..).step_by(10) {
                publish(&mut publisher, &messages(n..n + 10)).await;
                println!("report {}", n + 10);
            }
        }
        "consumer" => {
            let billing = Subscription {
                queue,
                ..subscription(10)
            };
            let mut subscriber = transport.subscriber(&billing).await.unwrap();
            loop {
                println!("report {}", number(&next(&mut subscriber).await));
            }
        }
        role => panic!("no such role: {role}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_publisher_had_confirmed_is_there() {
    let file = File::new().await;
    let billing = subscription(1000);
    let mut subscriber = file.transport().subscriber(&billing).await.unwrap();
    let mut process = Process::start("publisher", &file, &billing.queue);
    let confirmed = process.reports().find(|count| *count >= 200).unwrap();
    process.kill();
    let received = take(&mut subscriber, confirmed).await;
    assert_eq!(numbers(&received), (0..confirmed).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_consumer_held_comes_within_three_seconds() {
    let file = File::new().await;
    let billing = subscription(10);
    file.transport()
        .subscriber(&billing)
        .await
        .unwrap()
        .close()
        .await;
    let mut publisher = file.transport().publisher().await.unwrap();
    publish(&mut publisher, &messages(0..10)).await;
    let mut process = Process::start("consumer", &file, &billing.queue);
    assert_eq!(process.reports().take(10).count(), 10);

    let mut subscriber = file.transport().subscriber(&billing).await.unwrap();
    process.kill();
    let killed = Instant::now();
    let again = take(&mut subscriber, 10).await;
    let waited = killed.elapsed();
    assert_eq!(numbers(&again), (0..10).collect::<Vec<_>>());
    assert!(again.iter().all(|delivery| delivery.redelivered));
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_of_several_processes_lose_nothing() {
    let file = File::new().await;
    let billing = subscription(1000);
    file.transport()
        .subscriber(&billing)
        .await
        .unwrap()
        .close()
        .await;
    let mut processes = [0; 3].map(|_| Process::start("publisher", &file, &billing.queue));
    let confirmed: usize = processes
        .each_mut()
        .map(|process| process.reports().find(|count| *count >= 300).unwrap())
        .iter()
        .sum();
    processes.iter_mut().for_each(Process::kill);
    let depth = file.depth(&billing.queue).await.unwrap();
    assert!(depth >= confirmed as u64, "{depth} of {confirmed}");
}
