//! The commands and queries of the cases, and their handlers.

use std::{
    ops::DerefMut,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use cqrs_core::bus::{
    Command, CommandHandler, CommandStore, Context, Failure, Query, QueryHandler, QueryStore,
    Rejection, Violations,
};
use cqrs_outbox::{self as outbox, Change, CommandTransaction, OpenTransaction, Signal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Barrier, Notify};
use uuid::Uuid;

use crate::bed::Statements;

/// The id of a case's command.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The handlers' dependencies.
#[derive(Default)]
pub(crate) struct Purses {
    /// How often a handler was called.
    pub(crate) calls: Arc<AtomicU32>,
    /// Where first attempts wait for each other.
    pub(crate) meet: Option<Arc<Barrier>>,
    /// Told when a handler waits for ever.
    pub(crate) hanging: Arc<Notify>,
}

impl Purses {
    fn called(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn meet(&self, attempt: u32) {
        if let Some(barrier) = self.meet.as_ref().filter(|_| attempt == 1) {
            barrier.wait().await;
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum PurseError {
    #[error("purse {0} holds too little")]
    TooLittle(i64),
}

impl Rejection for PurseError {}

/// Puts an amount into a purse, and ends as it says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Put {
    pub(crate) id: i64,
    pub(crate) amount: i64,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) enum End {
    Well,
    Refused,
    Failed,
    Panic,
    Hang,
    /// With another event of another instance, only for one queue.
    Direct,
    /// With another change of the same instance.
    Twice,
    Silent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) amount: i64,
    pub(crate) call: u32,
}

pub(crate) fn put(id: i64, amount: i64, end: End) -> Put {
    Put { id, amount, end }
}

impl Command for Put {
    const NAME: &'static str = "put";
    type Output = Receipt;

    fn validate(&self, violations: &mut Violations) {
        violations.require(self.id > 0, "id", "must be positive");
        violations.require(self.amount < 1_000_000, "amount", "must be below a million");
    }
}

fn state(id: i64, amount: i64) -> Change {
    Change::json(
        "purse",
        id,
        Signal::Save,
        json!({"id": id, "amount": amount}),
    )
}

impl<T, S> CommandHandler<Put, S> for Purses
where
    T: OpenTransaction + DerefMut<Target: Statements>,
    S: CommandStore<Transaction = CommandTransaction<T>>,
{
    type Error = PurseError;

    async fn handle(
        &self,
        command: &Put,
        context: &mut Context<'_, S>,
    ) -> Result<Receipt, Failure<PurseError>> {
        let call = self.called();
        let tx = &mut *context.transaction;
        let add = "insert into purse values ($1, $2) \
                   on conflict (id) do update set amount = purse.amount + excluded.amount";
        tx.execute(add, &[command.id, command.amount]).await?;
        let read = "select amount from purse where id = $1";
        let amount = tx.number(read, &[command.id]).await?.unwrap();
        let tx = &mut *context.transaction;
        if command.end != End::Silent {
            outbox::record(tx, state(command.id, amount)).await?;
        }
        match command.end {
            End::Well | End::Silent => {}
            End::Refused => return Err(PurseError::TooLittle(command.id).into()),
            End::Failed => {
                tx.execute("insert into purse values ($1, -1)", &[command.id + 1])
                    .await?;
            }
            End::Panic => panic!("purse {} has burst", command.id),
            End::Hang => {
                self.hanging.notify_one();
                std::future::pending::<()>().await;
            }
            End::Direct => {
                let other = json!({"id": command.id + 1, "amount": 0});
                let other = Change::json("purse", command.id + 1, Signal::Sync, other);
                outbox::record(tx, other.to_queue("audit")).await?;
            }
            End::Twice => {
                outbox::record(tx, state(command.id, amount + 1)).await?;
            }
        }
        Ok(Receipt { amount, call })
    }
}

/// Moves one from a purse to another, which it locks in this order.
#[derive(Serialize)]
pub(crate) struct Move {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Command for Move {
    const NAME: &'static str = "move";
    type Output = u32;
}

impl<T, S> CommandHandler<Move, S> for Purses
where
    T: OpenTransaction + DerefMut<Target: Statements>,
    S: CommandStore<Transaction = CommandTransaction<T>>,
{
    type Error = PurseError;

    async fn handle(
        &self,
        command: &Move,
        context: &mut Context<'_, S>,
    ) -> Result<u32, Failure<PurseError>> {
        let take = "update purse set amount = amount - 1 where id = $1";
        let tx = &mut *context.transaction;
        if tx.execute(take, &[command.from]).await? != 1 {
            return Err(PurseError::TooLittle(command.from).into());
        }
        self.meet(context.attempt).await;
        let give = "update purse set amount = amount + 1 where id = $1";
        let tx = &mut *context.transaction;
        tx.execute(give, &[command.to]).await?;
        Ok(context.attempt)
    }
}

/// Counts the purses and adds one.
#[derive(Serialize)]
pub(crate) struct Total {
    pub(crate) id: i64,
}

impl Command for Total {
    const NAME: &'static str = "total";
    type Output = i64;
}

impl<T, S> CommandHandler<Total, S> for Purses
where
    T: OpenTransaction + DerefMut<Target: Statements>,
    S: CommandStore<Transaction = CommandTransaction<T>>,
{
    type Error = PurseError;

    async fn handle(
        &self,
        command: &Total,
        context: &mut Context<'_, S>,
    ) -> Result<i64, Failure<PurseError>> {
        self.called();
        let tx = &mut *context.transaction;
        let count = tx.number("select count(*) from purse", &[]).await?;
        self.meet(context.attempt).await;
        let tx = &mut *context.transaction;
        tx.execute("insert into purse values ($1, 0)", &[command.id])
            .await?;
        Ok(count.unwrap())
    }
}

/// Always finds a conflict.
#[derive(Serialize)]
pub(crate) struct Contested;

impl Command for Contested {
    const NAME: &'static str = "contested";
    type Output = ();
}

impl<S: CommandStore> CommandHandler<Contested, S> for Purses {
    type Error = PurseError;

    async fn handle(
        &self,
        _: &Contested,
        _: &mut Context<'_, S>,
    ) -> Result<(), Failure<PurseError>> {
        self.called();
        Err(cqrs_core::StoreError::Conflict("always".into()).into())
    }
}

/// Records by the SQL function.
#[cfg(feature = "servers")]
#[derive(Serialize)]
pub(crate) struct InSql;

#[cfg(feature = "servers")]
impl Command for InSql {
    const NAME: &'static str = "in_sql";
    type Output = ();
}

#[cfg(feature = "servers")]
impl<T, S> CommandHandler<InSql, S> for Purses
where
    T: OpenTransaction + DerefMut<Target: Statements>,
    S: CommandStore<Transaction = CommandTransaction<T>>,
{
    type Error = PurseError;

    async fn handle(
        &self,
        _: &InSql,
        context: &mut Context<'_, S>,
    ) -> Result<(), Failure<PurseError>> {
        let sql = "select 1 from cqrs_record('purse', '7', '{\"id\": 7}')";
        context.transaction.execute(sql, &[]).await?;
        Ok(())
    }
}

/// What a purse holds; and how the handler ends.
#[derive(Debug, Serialize)]
pub(crate) struct Amount {
    pub(crate) id: i64,
    pub(crate) end: End,
}

impl Query for Amount {
    const NAME: &'static str = "amount";
    type Output = Option<i64>;

    fn validate(&self, violations: &mut Violations) {
        violations.require(self.id > 0, "id", "must be positive");
    }
}

impl<S: QueryStore<Transaction: DerefMut<Target: Statements>>> QueryHandler<Amount, S> for Purses {
    type Error = PurseError;

    async fn handle(
        &self,
        query: &Amount,
        tx: &mut S::Transaction,
    ) -> Result<Option<i64>, Failure<PurseError>> {
        let read = "select amount from purse where id = $1";
        let amount = tx.number(read, &[query.id]).await?;
        match query.end {
            End::Well => Ok(amount),
            End::Refused => Err(PurseError::TooLittle(query.id).into()),
            End::Panic => panic!("nobody knows"),
            End::Hang => {
                self.hanging.notify_one();
                std::future::pending().await
            }
            End::Twice => {
                // Whoever writes in between tells the case when it is done.
                self.hanging.notify_one();
                if let Some(barrier) = &self.meet {
                    barrier.wait().await;
                }
                let again = tx.number(read, &[query.id]).await?;
                assert_eq!(again, amount);
                Ok(amount)
            }
            End::Failed | End::Direct | End::Silent => {
                tx.execute("update purse set amount = 0 where id = $1", &[query.id])
                    .await?;
                Ok(None)
            }
        }
    }
}
