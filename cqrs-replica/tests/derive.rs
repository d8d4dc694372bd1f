//! What the derive writes is what a person would.
#![cfg(feature = "derive")]

use cqrs_replica::{Model, Replica, TableModel, sqlite::SqliteReplica};

#[derive(Replica)]
#[replica(cqrs_id = "account", table = "billing.account_ref")]
#[expect(dead_code, reason = "it is there for its mapping")]
struct AccountRef {
    #[replica(key)]
    id: i64,
    #[replica(from = "full_name")]
    name: String,
    #[replica(from = "type", column = "kind")]
    r#type: Option<u8>,
    status: String,
    #[replica(skip)]
    seen_at: Option<String>,
}

#[derive(Replica)]
#[replica(cqrs_id = "line", table = "lines", crate = "cqrs_replica")]
#[expect(dead_code, reason = "it is there for its mapping")]
struct Line<'a> {
    #[replica(key, column = "order_id")]
    order: &'a str,
    #[replica(key)]
    position: i32,
}

#[test]
fn the_struct_is_the_mapping() {
    let table = TableModel::new("billing.account_ref", "id").with_columns([
        ("full_name", "name"),
        ("type", "kind"),
        ("status", "status"),
    ]);
    assert_eq!(AccountRef::table(), table);
    let model: Model<SqliteReplica> = Model::of::<AccountRef>().unwrap();
    assert_eq!(model.cqrs_id.as_str(), "account");
}

#[test]
fn a_key_may_have_several_columns_and_nothing_beside_them() {
    let columns: [(&str, &str); 0] = [];
    let table = TableModel::new("lines", "")
        .with_key(["order_id", "position"])
        .with_columns(columns);
    assert_eq!(Line::table(), table);
}

struct Nameless;

impl Replica for Nameless {
    const CQRS_ID: &'static str = "not a name";

    fn table() -> TableModel {
        TableModel::new("t", "id")
    }
}

#[test]
fn a_name_that_cannot_be_is_refused() {
    let error = Model::<SqliteReplica>::of::<Nameless>().unwrap_err();
    assert!(error.to_string().contains("not a name"), "{error}");
}
