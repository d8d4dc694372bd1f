//! What a question is answered with.

use std::error::Error;

use cqrs_core::{
    InstanceKey, QueueName,
    reconcile::{
        RowMark,
        protocol::{Ask, Hex, PART, Question, Told, ToldInstance, VERSION},
    },
};
use cqrs_outbox::{
    reconcile::{Comparable, ReconcileSource},
    source::{ReadModel, SourceModel},
};
use serde_json::value::RawValue;

/// How many sums or rows a part holds.
const ITEMS: usize = 2_000;

type Fault = Box<dyn Error + Send + Sync>;

/// The parts of the answer; at least one.
pub(super) async fn tell<S: ReconcileSource>(
    store: &S,
    models: &[SourceModel],
    question: Question,
) -> Vec<Told> {
    match answer(store, models, question).await {
        Ok(parts) => parts,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            tracing::warn!(error = text, "a replica's question could not be answered");
            vec![Told::Failed(text)]
        }
    }
}

async fn answer<S: ReconcileSource>(
    store: &S,
    models: &[SourceModel],
    question: Question,
) -> Result<Vec<Told>, Fault> {
    let Question {
        version,
        cqrs_id,
        rate,
        ask,
        ..
    } = question;
    if version != VERSION {
        return Err(format!(
            "the question is of version {version}, and this relay speaks {VERSION}: bring both up \
             to date"
        )
        .into());
    }
    let model = models
        .iter()
        .find(|model| model.cqrs_id.as_str() == cqrs_id);
    let model = model.ok_or_else(|| format!("there is no [[master.model]] {cqrs_id}"))?;
    let model = ReadModel::table(model.clone());
    let mut comparable = Comparable::open(store.clone(), model, rate).await?;
    let parts = parts(&mut comparable, ask).await;
    comparable.close().await;
    parts
}

async fn parts<S: ReconcileSource>(
    comparable: &mut Comparable<S>,
    ask: Ask,
) -> Result<Vec<Told>, Fault> {
    Ok(match ask {
        Ask::Model => vec![Told::Model {
            fields: comparable.fields(),
            rows: comparable.estimate().await?,
        }],
        Ask::Ranges { fields, count } => {
            let ranges = comparable.ranges(&fields, count).await?;
            let sums = ranges.sums().iter();
            let sums: Vec<_> = sums.map(|range| (range.rows, Hex(range.sum))).collect();
            sums.chunks(ITEMS)
                .map(|part| Told::Ranges(part.to_vec()))
                .collect()
        }
        Ask::Rows {
            fields,
            count,
            ranges,
        } => {
            let mut parts = Vec::new();
            let mut part = Vec::new();
            let rows = comparable.rows(&fields, count, &ranges).await?;
            for (key, RowMark { revision, content }) in rows.into_values() {
                let key = RawValue::from_string(key.to_json())?;
                part.push((key, revision, Hex(content.0)));
                if part.len() == ITEMS {
                    parts.push(Told::Rows(std::mem::take(&mut part)));
                }
            }
            parts.push(Told::Rows(part));
            parts
        }
        Ask::Instances { keys } => {
            let keys = read(&keys)?;
            let mut parts = Vec::new();
            let (mut part, mut size) = (Vec::new(), 0);
            for (instance_pk, instance) in comparable.instances(&keys).await? {
                size += instance.data.as_ref().map_or(0, String::len) + 200;
                part.push(ToldInstance {
                    instance_pk,
                    revision: instance.revision,
                    data: instance.data,
                    pending: instance.pending,
                });
                if size > PART {
                    size = 0;
                    parts.push(Told::Instances(std::mem::take(&mut part)));
                }
            }
            parts.push(Told::Instances(part));
            parts
        }
        Ask::SendAgain {
            queue,
            keys,
            forced,
        } => {
            let queue = QueueName::new(&queue)?;
            let sent = comparable.send_again(&queue, &read(&keys)?, forced).await?;
            vec![Told::Sent(sent)]
        }
    })
}

fn read(keys: &[Box<RawValue>]) -> Result<Vec<InstanceKey>, Fault> {
    let keys = keys.iter().map(|key| InstanceKey::from_json(key));
    Ok(keys.collect::<Result<_, _>>()?)
}
