use cqrs_macros::Master;

#[derive(Master)]
#[master(cqrs_id = "status")]
enum Status {
    Open,
}

#[derive(Master)]
#[master(cqrs_id = "pair")]
struct Pair(#[master(key)] i64, String);

#[derive(Master)]
#[master(cqrs_id = "unit")]
struct Unit;

#[derive(Master)]
#[master(cqrs_id = "wrapper")]
struct Wrapper<'a, T> {
    #[master(key)]
    id: &'a str,
    inner: T,
}

fn main() {}
