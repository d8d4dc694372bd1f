//! Single instances, with what is still to be sent of them.

use cqrs_core::{InstanceKey, StoreError, database::sqlite::classify, filter::Filter};

use super::{
    reader::{SqliteReader, columns, rows},
    sql,
};
use crate::{
    reconcile::{InstanceReader, SourceInstance},
    source::{Select, instances},
};

impl InstanceReader for SqliteReader {
    async fn instances(&mut self, keys: &[InstanceKey]) -> Result<Vec<SourceInstance>, StoreError> {
        let all = Filter::default();
        let select = Select {
            revisions: true,
            ..self.select(&all, columns(&self.table, true))
        };
        let statement = select.named_keys(keys)?;
        let found = rows(&mut self.connection, &statement)
            .await
            .map_err(classify)?;
        // After the states: an event of one that was read is here, or has been sent.
        let pks: Vec<String> = keys.iter().map(InstanceKey::canonical).collect();
        let in_hand = sqlx::query_as(sql::IN_HAND)
            .bind(self.table.source().cqrs_id().as_str())
            .bind(serde_json::Value::from(pks).to_string())
            .fetch_all(&mut self.connection)
            .await
            .map_err(classify)?;
        instances(&self.table, found, keys, in_hand)
    }
}
