-- The shop's tables without Django: for our masters, and for our replicas. Columns and types are those
-- that Django makes of its models, and that is what makes rows comparable.
create table customer (
    id        bigint primary key,
    name      text not null,
    status    varchar(20) not null,
    balance   numeric(12, 2),
    ratio     double precision,
    active    boolean not null,
    born      date,
    seen      timestamptz,
    extra     jsonb,
    parent_id bigint
);

create table device (
    id     uuid primary key,
    label  text not null,
    serial bigint not null
);

create table country (
    code varchar(40) primary key,
    name text not null
);

create table orders (
    id          bigint primary key,
    number      text not null,
    customer_id bigint,
    total       numeric(20, 4) not null,
    placed      timestamptz not null,
    pickup      time,
    lines       jsonb not null
);

create table article (
    id        bigint primary key,
    title     text not null,
    published boolean not null
);
