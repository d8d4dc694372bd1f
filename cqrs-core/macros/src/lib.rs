//! `#[derive(Master)]` and `#[derive(Replica)]`, which cqrs-outbox and cqrs-replica export with their
//! feature `derive`.
//!
//! The stages of a master: `attributes` reads what is written, `model` checks that it makes sense and
//! says all that does not at once, `expand` writes the impls that a person would. A replica is small
//! enough for one file.

mod attributes;
mod errors;
mod expand;
mod model;
mod replica;
mod ttl;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Writes `impl Master` for a struct with named fields, and `impl Table` if it has a `table`.
///
/// The fields are the members of the data, in their order, under their own names, as serde
/// serialises their types. The struct need not be `Serialize`, and `#[serde(…)]` on it or its fields
/// is not read.
///
/// ```text
/// #[derive(Master)]
/// #[master(cqrs_id = "account", table = "accounts", tracked(status, email), ttl = "1d")]
/// struct Account {
///     #[master(key)]
///     id: i64,
///     #[master(rename = "full_name")]
///     name: String,
///     #[master(column = "mail")]
///     email: String,
///     #[master(skip)]
///     password_hash: String,
///     #[master(with = "cqrs_outbox::form::duration")]
///     trial: std::time::Duration,
///     status: String,
/// }
/// ```
///
/// | of the struct | meaning |
/// |---|---|
/// | `cqrs_id = "account"` | `CQRS_ID`; must be there |
/// | `table = "accounts"` | `impl Table`; with a schema: `"billing.accounts"` |
/// | `tracked(a, b)`, `tracked(all)` | `TRACKED`: the published fields of these names, or all |
/// | `ttl = "1d"` | `TTL`: a whole number and `ms`, `s`, `m`, `h` or `d` |
/// | `produce = false` | `PRODUCE` |
/// | `fields(a, b)` | only these are published, and the key |
/// | `filter = "Self::is_public"` | `should_sync` calls this function of `&Self` |
/// | `meta = "path"` | `meta` calls this function of `&About<'_>` |
/// | `delete_data = "path"` | `delete_data` calls this function of `&Self`, a `Signal` and an `Option<&Self>` |
/// | `crate = "path"` | where cqrs-outbox is, if not at `::cqrs_outbox` |
///
/// | of a field | meaning |
/// |---|---|
/// | `key` | the key, or in their order its parts: integers, text, UUIDs; always published |
/// | `rename = "full_name"` | the member's name |
/// | `column = "mail"` | the column's name in the table; without it that of the field |
/// | `skip` | not published; still a column |
/// | `with = "module"` | what is sent and stored is made by `module::serialize`, as in serde |
/// | `bytes` | base64 on the wire (`form::bytes`), bytes in the table |
#[proc_macro_derive(Master, attributes(master))]
pub fn derive_master(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match model::Model::of(input) {
        Ok(model) => expand::impls(&model).into(),
        Err(errors) => errors.into_compile_error().into(),
    }
}

/// Writes `impl Replica` for a struct with named fields: the table that a model's copy is kept in, and
/// which member of the master's data goes into which column.
///
/// ```text
/// #[derive(Replica)]
/// #[replica(cqrs_id = "account", table = "account_ref")]
/// struct AccountRef {
///     #[replica(key)]
///     id: i64,
///     #[replica(from = "full_name")]
///     name: String,
///     #[replica(column = "state")]
///     status: String,
///     #[replica(skip)]
///     seen_at: Option<String>,
/// }
/// ```
///
/// | of the struct | meaning |
/// |---|---|
/// | `cqrs_id = "account"` | the master's name for the model; must be there |
/// | `table = "account_ref"` | the table; with a schema: `"billing.account_ref"`; must be there |
/// | `crate = "path"` | where cqrs-replica is, if not at `::cqrs_replica` |
///
/// | of a field | meaning |
/// |---|---|
/// | `key` | the key's column, or one of them in the order of the master's key |
/// | `from = "full_name"` | the member of the data that feeds it, if it has another name |
/// | `column = "state"` | the column's name in the table; without it that of the field |
/// | `optional` | an event may lack the member, and the column then keeps its value |
/// | `skip` | no event feeds it: it is the database's, or your own |
#[proc_macro_derive(Replica, attributes(replica))]
pub fn derive_replica(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    replica::replica(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
