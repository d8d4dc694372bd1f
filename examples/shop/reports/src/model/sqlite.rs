//! The tables in `SQLite`.

use sqlx::{Error, SqliteConnection};

use super::{
    Account, ListFilter, OrderView, Product, RevenueDay, Tables,
    order::{OrderState, Share},
    rows,
};

impl Tables for SqliteConnection {
    async fn share(&mut self, id: &str) -> Result<Option<Share>, Error> {
        let sql = "select status, placed_at, total from order_view where id = $1";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(self).await?;
        row.map(rows::share).transpose()
    }

    async fn add_to_day(&mut self, share: &Share) -> Result<(), Error> {
        let sql = "insert into revenue_day (day, orders, revenue) values ($1, $2, $3) \
                   on conflict (day) do update \
                   set orders = revenue_day.orders + excluded.orders, \
                       revenue = revenue_day.revenue + excluded.revenue";
        let add = sqlx::query(sql)
            .bind(&share.day)
            .bind(share.orders)
            .bind(share.revenue);
        rows::one(add.execute(self).await?.rows_affected())
    }

    async fn write_order(&mut self, order: &OrderState) -> Result<(), Error> {
        let sql = "insert into order_view (id, account_id, status, placed_at, total, version) \
                   values ($1, $2, $3, $4, $5, $6) \
                   on conflict (id) do update \
                   set account_id = excluded.account_id, status = excluded.status, \
                       placed_at = excluded.placed_at, total = excluded.total, \
                       version = excluded.version";
        let write = sqlx::query(sql)
            .bind(&order.id)
            .bind(&order.account_id)
            .bind(&order.status)
            .bind(order.placed_at.timestamp_micros())
            .bind(order.total)
            .bind(order.version);
        rows::one(write.execute(&mut *self).await?.rows_affected())?;
        sqlx::query("delete from order_line where order_id = $1")
            .bind(&order.id)
            .execute(&mut *self)
            .await?;
        for (position, line) in (0_i64..).zip(&order.lines) {
            let sql = "insert into order_line (order_id, position, product_id, quantity, price) \
                       values ($1, $2, $3, $4, $5)";
            let insert = sqlx::query(sql)
                .bind(&order.id)
                .bind(position)
                .bind(&line.product_id)
                .bind(line.quantity)
                .bind(line.price);
            rows::one(insert.execute(&mut *self).await?.rows_affected())?;
        }
        Ok(())
    }

    async fn remove_order(&mut self, id: &str) -> Result<(), Error> {
        for sql in [
            "delete from order_line where order_id = $1",
            "delete from order_view where id = $1",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn orders(&mut self, filter: &ListFilter) -> Result<Vec<OrderView>, Error> {
        let orders = sqlx::query_as(include_str!("orders.sql"))
            .bind(filter.account.as_deref())
            .bind(filter.status.as_deref())
            .bind(rows::pattern(filter.search.as_deref()))
            .bind(filter.after.as_ref().map(|page| page.placed_at))
            .bind(filter.after.as_ref().map(|page| page.id.as_str()))
            .bind(filter.limit)
            .fetch_all(&mut *self)
            .await?;
        let mut orders = rows::orders(orders)?;
        for order in &mut orders {
            let lines = sqlx::query_as(include_str!("lines.sql"))
                .bind(&order.id)
                .fetch_all(&mut *self)
                .await?;
            order.lines = lines.into_iter().map(rows::line).collect();
        }
        Ok(orders)
    }

    async fn order(&mut self, id: &str) -> Result<Option<OrderView>, Error> {
        let sql = "select o.id, o.account_id, a.name, o.status, o.placed_at, o.total, o.version \
                   from order_view o left join account_ref a on a.id = o.account_id \
                   where o.id = $1";
        let order = sqlx::query_as(sql).bind(id).fetch_all(&mut *self).await?;
        let Some(mut order) = rows::orders(order)?.pop() else {
            return Ok(None);
        };
        let lines = sqlx::query_as(include_str!("lines.sql"))
            .bind(id)
            .fetch_all(self)
            .await?;
        order.lines = lines.into_iter().map(rows::line).collect();
        Ok(Some(order))
    }

    async fn account(&mut self, id: &str) -> Result<Option<Account>, Error> {
        let sql = "select a.id, a.name, a.status, \
                          (select count(*) from order_view o \
                           where o.account_id = a.id and o.status <> 'cancelled'), \
                          (select cast(coalesce(sum(o.total), 0) as bigint) from order_view o \
                           where o.account_id = a.id and o.status <> 'cancelled') \
                   from account_ref a where a.id = $1";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(self).await?;
        Ok(row.map(rows::account))
    }

    async fn products(&mut self) -> Result<Vec<Product>, Error> {
        let sql = "select id, name, price, stock from product_ref order by name, id";
        let rows = sqlx::query_as(sql).fetch_all(self).await?;
        Ok(rows.into_iter().map(rows::product).collect())
    }

    async fn revenue(&mut self, from: &str, to: &str) -> Result<Vec<RevenueDay>, Error> {
        let sql = "select day, orders, revenue from revenue_day \
                   where day >= $1 and day <= $2 and orders <> 0 order by day";
        let rows = sqlx::query_as(sql)
            .bind(from)
            .bind(to)
            .fetch_all(self)
            .await?;
        Ok(rows.into_iter().map(rows::day).collect())
    }
}
