create table if not exists account (
    id      blob primary key,
    name    text not null,
    status  text not null check (status in ('open', 'closed')),
    version integer not null
);

create table if not exists product (
    id    blob primary key,
    name  text not null,
    price integer not null check (price >= 0),
    stock integer not null check (stock >= 0)
);

create table if not exists customer_order (
    id         blob primary key,
    account_id blob not null references account,
    status     text not null check (status in ('placed', 'cancelled', 'shipped')),
    placed_at  text not null,
    lines      text not null,
    total      integer not null,
    version    integer not null
);

create index if not exists customer_order_placed on customer_order (account_id) where status = 'placed';
