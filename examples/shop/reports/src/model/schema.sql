-- Keys are text here: what the keys of another service's rows are made of is its own business.
-- Times are microseconds since 1970 in UTC.

create table if not exists account_ref (
    id     text primary key,
    name   text not null,
    status text not null
);

create table if not exists product_ref (
    id    text primary key,
    name  text not null,
    price bigint not null,
    stock bigint not null
);

-- Without foreign keys: an order may arrive before its account.
create table if not exists order_view (
    id         text primary key,
    account_id text not null,
    status     text not null,
    placed_at  bigint not null,
    total      bigint not null,
    version    bigint not null
);

create index if not exists order_view_newest on order_view (placed_at, id);
create index if not exists order_view_account on order_view (account_id, placed_at, id);

create table if not exists order_line (
    order_id   text not null,
    position   bigint not null,
    product_id text not null,
    quantity   bigint not null,
    price      bigint not null,
    primary key (order_id, position)
);

create table if not exists revenue_day (
    day     text primary key,
    orders  bigint not null,
    revenue bigint not null
);
