//! The tables in `PostgreSQL`.

use sqlx::{Error, PgConnection, types::Json};
use uuid::Uuid;

use super::{Account, Order, Product, Tables, rows};

impl Tables for PgConnection {
    async fn account(&mut self, id: Uuid) -> Result<Option<Account>, Error> {
        let row = sqlx::query_as("select id, name, status, version from account where id = $1")
            .bind(id)
            .fetch_optional(self)
            .await?;
        row.map(rows::account).transpose()
    }

    async fn lock_account(&mut self, id: Uuid) -> Result<Option<Account>, Error> {
        let sql = "select id, name, status, version from account where id = $1 for update";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(self).await?;
        row.map(rows::account).transpose()
    }

    async fn insert_account(&mut self, account: &Account) -> Result<(), Error> {
        let sql = "insert into account (id, name, status, version) values ($1, $2, $3, $4)";
        let insert = sqlx::query(sql)
            .bind(account.id)
            .bind(&account.name)
            .bind(account.status.as_str())
            .bind(account.version);
        rows::one(insert.execute(self).await?.rows_affected())
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), Error> {
        let sql = "update account set name = $2, status = $3, version = $4 where id = $1";
        let update = sqlx::query(sql)
            .bind(account.id)
            .bind(&account.name)
            .bind(account.status.as_str())
            .bind(account.version);
        rows::one(update.execute(self).await?.rows_affected())
    }

    async fn products(&mut self) -> Result<Vec<Product>, Error> {
        let rows = sqlx::query_as("select id, name, price, stock from product order by name, id")
            .fetch_all(self)
            .await?;
        Ok(rows.into_iter().map(rows::product).collect())
    }

    async fn lock_product(&mut self, id: Uuid) -> Result<Option<Product>, Error> {
        let sql = "select id, name, price, stock from product where id = $1 for update";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(self).await?;
        Ok(row.map(rows::product))
    }

    async fn insert_product(&mut self, product: &Product) -> Result<(), Error> {
        let sql = "insert into product (id, name, price, stock) values ($1, $2, $3, $4)";
        let insert = sqlx::query(sql)
            .bind(product.id)
            .bind(&product.name)
            .bind(product.price)
            .bind(product.stock);
        rows::one(insert.execute(self).await?.rows_affected())
    }

    async fn update_product(&mut self, product: &Product) -> Result<(), Error> {
        let sql = "update product set name = $2, price = $3, stock = $4 where id = $1";
        let update = sqlx::query(sql)
            .bind(product.id)
            .bind(&product.name)
            .bind(product.price)
            .bind(product.stock);
        rows::one(update.execute(self).await?.rows_affected())
    }

    async fn order(&mut self, id: Uuid) -> Result<Option<Order>, Error> {
        let sql = "select id, account_id, status, placed_at, lines, total, version \
                   from customer_order where id = $1";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(self).await?;
        row.map(rows::order).transpose()
    }

    async fn lock_order(&mut self, id: Uuid) -> Result<Option<Order>, Error> {
        let sql = "select id, account_id, status, placed_at, lines, total, version \
                   from customer_order where id = $1 for update";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(self).await?;
        row.map(rows::order).transpose()
    }

    async fn insert_order(&mut self, order: &Order) -> Result<(), Error> {
        let sql = "insert into customer_order \
                   (id, account_id, status, placed_at, lines, total, version) \
                   values ($1, $2, $3, $4, $5, $6, $7)";
        let insert = sqlx::query(sql)
            .bind(order.id)
            .bind(order.account_id)
            .bind(order.status.as_str())
            .bind(order.placed_at)
            .bind(Json(&order.lines))
            .bind(order.total)
            .bind(order.version);
        rows::one(insert.execute(self).await?.rows_affected())
    }

    async fn update_order(&mut self, order: &Order) -> Result<(), Error> {
        let sql = "update customer_order set status = $2, lines = $3, total = $4, version = $5 \
                   where id = $1";
        let update = sqlx::query(sql)
            .bind(order.id)
            .bind(order.status.as_str())
            .bind(Json(&order.lines))
            .bind(order.total)
            .bind(order.version);
        rows::one(update.execute(self).await?.rows_affected())
    }

    async fn placed_orders(&mut self, account: Uuid) -> Result<i64, Error> {
        let sql = "select count(*) from customer_order where account_id = $1 and status = 'placed'";
        sqlx::query_scalar(sql).bind(account).fetch_one(self).await
    }
}
