//! Real processes on one file, and their sudden end.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use cqrs_core::{
    QueueName,
    transport::{Subscriber, Transport},
};

use super::File;
use crate::fixture::{Fixture, messages, numbers, publish, subscription, take};

/// `embedded-peer` as a process.
struct Process {
    child: Child,
    /// Open to the end: a process that cannot report any more would end before it is killed.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(role: &str, file: &File, queue: &QueueName) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_embedded-peer"))
            .arg(role)
            .arg(file.config().path)
            .arg(queue.as_str())
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
            .filter_map(|line| line.ok()?.parse().ok())
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
