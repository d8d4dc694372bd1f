create table if not exists account (
    id      uuid primary key,
    name    text not null,
    status  text not null check (status in ('open', 'closed')),
    version bigint not null
);

create table if not exists product (
    id    uuid primary key,
    name  text not null,
    price bigint not null check (price >= 0),
    stock bigint not null check (stock >= 0)
);

create table if not exists customer_order (
    id         uuid primary key,
    account_id uuid not null references account,
    status     text not null check (status in ('placed', 'cancelled', 'shipped')),
    placed_at  timestamptz not null,
    lines      jsonb not null,
    total      bigint not null,
    version    bigint not null
);

create index if not exists customer_order_placed on customer_order (account_id) where status = 'placed';
