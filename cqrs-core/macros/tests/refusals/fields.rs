use cqrs_macros::Master;

// All of it is said at once.
#[derive(Master)]
#[master(cqrs_id = "a", tracked(secret, statsu, name, name), fields(name, other, nmae, old, cqrs_updated))]
struct Account {
    #[master(key)]
    id: i64,
    name: String,
    secret: String,
    #[master(rename = "name")]
    other: String,
    #[master(skip)]
    old: String,
    #[master(rename = "s")]
    status: String,
    #[master(column = "c")]
    cqrs_updated: String,
    #[master(bytes, with = "a::module")]
    photo: Vec<u8>,
}

#[derive(Master)]
#[master(cqrs_id = "a", table = "a", tracked(hash))]
struct Columns {
    #[master(key)]
    id: i64,
    #[master(column = "id")]
    name: String,
    #[master(skip)]
    hash: String,
}

fn main() {}
