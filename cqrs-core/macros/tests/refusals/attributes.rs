use cqrs_macros::Master;

#[derive(Master)]
#[master(cqrsid = "a")]
struct UnknownOfStruct {
    #[master(key)]
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "a")]
struct UnknownOfField {
    #[master(key)]
    id: i64,
    #[master(renamed = "b")]
    a: i64,
    #[master(skip, skip)]
    b: i64,
}

#[derive(Master)]
struct NoName {
    #[master(key)]
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "my account*")]
struct Wildcard {
    #[master(key)]
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "cqrs.account")]
struct Reserved {
    #[master(key)]
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "a", ttl = "1 day")]
struct NoTimeToLive {
    #[master(key)]
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "a", ttl = "0s")]
struct NothingToLive {
    #[master(key)]
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "a", tracked = "all")]
struct NotAList {
    #[master(key)]
    id: i64,
}

fn main() {}
