use cqrs_macros::Replica;

#[derive(Replica)]
struct Nothing {
    id: i64,
}

#[derive(Replica)]
#[replica(cqrs_id = "a", table = "a", colour = "red")]
struct Unknown {
    #[replica(key)]
    id: i64,
    #[replica(rename = "b")]
    name: String,
}

#[derive(Replica)]
#[replica(cqrs_id = "a", table = "a")]
struct Contradictions {
    #[replica(key, from = "pk")]
    id: i64,
    #[replica(key, skip)]
    part: i64,
    #[replica(skip, from = "x")]
    own: i64,
    #[replica(column = "own")]
    other: i64,
}

#[derive(Replica)]
#[replica(cqrs_id = "a", table = "a")]
struct Tuple(i64);

fn main() {}
