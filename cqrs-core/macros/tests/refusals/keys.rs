use cqrs_macros::Master;

#[derive(Master)]
#[master(cqrs_id = "a")]
struct NoKey {
    id: i64,
}

#[derive(Master)]
#[master(cqrs_id = "a")]
struct SkippedKey {
    #[master(key, skip)]
    id: i64,
}

fn main() {}
