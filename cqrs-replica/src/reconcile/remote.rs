//! A master that is asked by the broker.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    num::NonZeroU16,
    sync::Arc,
    time::Duration,
};

use cqrs_core::{
    Clock, CqrsId, InstanceKey, QueueName,
    content::ContentHash,
    reconcile::{
        RangeSum, Ranges, RowMark,
        protocol::{self, Answer, Ask, Question, Told, VERSION},
    },
    transport::{Ack, Headers, Message, Outcome, Publisher, Routing, Subscriber, Transport},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{MasterFault, MasterInstance, MasterModel, MasterSide};
use crate::new_worker_id;

/// How many parts of an answer are on their way to us at a time.
const PREFETCH: NonZeroU16 = NonZeroU16::MIN.saturating_add(31);

/// How long a question is worth an answer.
const WORTH: Duration = Duration::from_mins(1);

/// A master whose relays answer questions by the broker.
pub struct RemoteMaster<T: Transport> {
    transport: T,
    clock: Arc<dyn Clock>,
    rate: Option<u32>,
    /// How long no word may come.
    silence: Duration,
    line: Option<Line<T>>,
}

/// What is needed to ask and to hear.
struct Line<T: Transport> {
    process: Uuid,
    publisher: T::Publisher,
    subscriber: T::Subscriber,
}

impl<T: Transport> fmt::Debug for RemoteMaster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteMaster")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> RemoteMaster<T> {
    /// The master behind this broker, of which at most so many rows a second are read. Nothing is
    /// connected yet.
    #[must_use]
    pub fn new(transport: T, clock: Arc<dyn Clock>, rate: Option<u32>) -> Self {
        Self {
            transport,
            clock,
            rate,
            silence: Duration::from_secs(15),
            line: None,
        }
    }

    /// Sets how long no word may come before the master is given up; 15 s if it is not set.
    #[must_use]
    pub const fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Asks, and answers with all parts that are told.
    async fn ask(&mut self, cqrs_id: &CqrsId, ask: Ask) -> Result<Vec<Told>, MasterFault> {
        // Whatever goes wrong, the next question is asked on a new line.
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.connect().await?,
        };
        let id = new_worker_id(&*self.clock);
        let question = Question {
            version: VERSION,
            id,
            answer_to: protocol::answer_key(line.process)?.to_string(),
            cqrs_id: cqrs_id.to_string(),
            rate: self.rate,
            ask,
        };
        let message = Message {
            message_id: id,
            routing: Routing::Broadcast(protocol::question_key(cqrs_id)?),
            body: serde_json::to_vec(&question)?.into(),
            headers: Headers::default(),
            timestamp: self.clock.now(),
        };
        let messages = [message];
        // A broker that blocks publishers lets them wait for as long as it does.
        let sent = line.publisher.publish_for(&messages, WORTH);
        let outcomes = tokio::time::timeout(self.silence, sent)
            .await
            .map_err(|_| format!("the broker takes no messages within {:?}", self.silence))??;
        if outcomes != [Outcome::Confirmed] {
            return Err(format!(
                "no relay answers for {cqrs_id}: run cqrs-relay at the master, with {cqrs_id} among \
                 its [[master.model]] and relay.reconcile on, or name its database by --master"
            )
            .into());
        }
        let mut parts = Vec::new();
        loop {
            let next = tokio::time::timeout(self.silence, line.subscriber.next()).await;
            let delivery = next.map_err(|_| {
                format!(
                    "no relay answers for {cqrs_id} within {:?}: it may have stopped, or be busy \
                     with others",
                    self.silence
                )
            })??;
            line.subscriber.ack(Ack::One(delivery.tag)).await?;
            let answer: Answer = serde_json::from_slice(&delivery.body)?;
            if answer.id != id {
                // Of a question that was given up.
                continue;
            }
            match answer.told {
                Told::Working => continue,
                Told::Failed(problem) => return Err(problem.into()),
                told => parts.push(told),
            }
            if !answer.more {
                self.line = Some(line);
                return Ok(parts);
            }
        }
    }

    async fn connect(&mut self) -> Result<Line<T>, MasterFault> {
        let process = new_worker_id(&*self.clock);
        let queue = protocol::answer_queue(process)?;
        let key = protocol::answer_key(process)?;
        Ok(Line {
            process,
            subscriber: self.transport.temporary(&queue, &[key], PREFETCH).await?,
            publisher: self.transport.publisher().await?,
        })
    }
}

impl<T: Transport> MasterSide for RemoteMaster<T> {
    async fn model(&mut self, cqrs_id: &CqrsId) -> Result<MasterModel, MasterFault> {
        match self.ask(cqrs_id, Ask::Model).await?.pop() {
            Some(Told::Model { fields, rows }) => Ok(MasterModel { fields, rows }),
            _ => Err(unasked()),
        }
    }

    async fn ranges(
        &mut self,
        cqrs_id: &CqrsId,
        fields: &BTreeSet<String>,
        count: u32,
    ) -> Result<Ranges, MasterFault> {
        let fields = fields.clone();
        let mut sums = Vec::new();
        for part in self.ask(cqrs_id, Ask::Ranges { fields, count }).await? {
            let Told::Ranges(part) = part else {
                return Err(unasked());
            };
            sums.extend(
                part.into_iter()
                    .map(|(rows, sum)| RangeSum { rows, sum: sum.0 }),
            );
        }
        Ok(Ranges::of(sums))
    }

    async fn rows(
        &mut self,
        cqrs_id: &CqrsId,
        fields: &BTreeSet<String>,
        count: u32,
        ranges: &BTreeSet<u32>,
    ) -> Result<HashMap<String, (InstanceKey, RowMark)>, MasterFault> {
        let ask = Ask::Rows {
            fields: fields.clone(),
            count,
            ranges: ranges.clone(),
        };
        let mut rows = HashMap::new();
        for part in self.ask(cqrs_id, ask).await? {
            let Told::Rows(part) = part else {
                return Err(unasked());
            };
            for (key, revision, content) in part {
                let key = InstanceKey::from_json(&key)?;
                let content = ContentHash(content.0);
                rows.insert(key.canonical(), (key, RowMark { revision, content }));
            }
        }
        Ok(rows)
    }

    async fn instances(
        &mut self,
        cqrs_id: &CqrsId,
        keys: &[InstanceKey],
    ) -> Result<HashMap<String, MasterInstance>, MasterFault> {
        let keys = raw(keys)?;
        let mut instances = HashMap::new();
        for part in self.ask(cqrs_id, Ask::Instances { keys }).await? {
            let Told::Instances(part) = part else {
                return Err(unasked());
            };
            for told in part {
                let instance = MasterInstance {
                    revision: told.revision,
                    data: told.data,
                    pending: told.pending,
                };
                instances.insert(told.instance_pk, instance);
            }
        }
        Ok(instances)
    }

    async fn send_again(
        &mut self,
        cqrs_id: &CqrsId,
        queue: &QueueName,
        keys: Vec<InstanceKey>,
        forced: bool,
    ) -> Result<u64, MasterFault> {
        let ask = Ask::SendAgain {
            queue: queue.to_string(),
            keys: raw(&keys)?,
            forced,
        };
        match self.ask(cqrs_id, ask).await?.pop() {
            Some(Told::Sent(sent)) => Ok(sent),
            _ => Err(unasked()),
        }
    }
}

fn raw(keys: &[InstanceKey]) -> Result<Vec<Box<RawValue>>, MasterFault> {
    let keys = keys.iter().map(|key| RawValue::from_string(key.to_json()));
    Ok(keys.collect::<Result<_, _>>()?)
}

fn unasked() -> MasterFault {
    "the relay answers something else than was asked".into()
}
