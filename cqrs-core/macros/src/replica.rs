//! `#[derive(Replica)]`: a struct as the mapping of a table.

use std::collections::HashMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, DeriveInput, Error, LitStr, Path, Result, ext::IdentExt, parse_quote};

use crate::{
    attributes::{each, name, path, set, travels, value, word},
    errors::Errors,
    model::named_fields,
};

const NAMED: &str = "a replica is a struct with named fields, which are the columns of its table: for \
                     anything else write `impl Replica` by hand";

/// What is written of the struct.
#[derive(Default)]
struct OfStruct {
    cqrs_id: Option<LitStr>,
    table: Option<LitStr>,
    replica: Option<Path>,
}

/// What is written of a field. Words are where they stand.
#[derive(Default)]
struct OfField {
    key: Option<Span>,
    skip: Option<Span>,
    from: Option<LitStr>,
    column: Option<LitStr>,
    optional: Option<Span>,
}

/// A column.
struct Column {
    ident: Ident,
    name: String,
    /// The member of the master's data that feeds it.
    member: String,
    is_key: bool,
    skipped: bool,
    /// Whether an event may lack the member.
    optional: bool,
}

/// The impl.
///
/// # Errors
/// All that is wrong with the struct.
pub(crate) fn replica(input: &DeriveInput) -> Result<TokenStream> {
    let mut errors = Errors::default();
    let fields = named_fields(input, NAMED)?;
    let said = errors.take(of_struct(&input.attrs)).unwrap_or_default();
    let read: Vec<(Ident, OfField)> = fields
        .into_iter()
        .filter_map(|field| {
            let said = errors.take(of_field(&field.attrs))?;
            // Named fields have names.
            Some((field.ident?, said))
        })
        .collect();
    errors.finish()?;

    let mut errors = Errors::default();
    let columns: Vec<Column> = read
        .into_iter()
        .map(|(ident, said)| column(ident, &said, &mut errors))
        .collect();
    let ident = &input.ident;
    let missing = |what: &str| Error::new(ident.span(), what);
    if !columns.iter().any(|column| column.is_key) {
        let problem =
            "no field is the key: put `#[replica(key)]` on it, or on each of several that are";
        errors.push(ident.span(), problem);
    }
    distinct(&columns, &mut errors);
    let cqrs_id = errors.take(said.cqrs_id.ok_or_else(|| {
        missing("whose copy is it? Add `#[replica(cqrs_id = \"…\")]` to the struct")
    }));
    let cqrs_id = cqrs_id.and_then(|id| errors.take(travels(id)));
    let table = errors.take(said.table.ok_or_else(|| {
        missing("the copy has no table: add `#[replica(table = \"…\")]` to the struct")
    }));
    errors.finish()?;
    let replica: Path = said.replica.unwrap_or_else(|| parse_quote!(::cqrs_replica));
    let key = columns
        .iter()
        .filter(|column| column.is_key)
        .map(|column| &column.name);
    let fed = columns
        .iter()
        .filter(|column| !column.is_key && !column.skipped);
    let optional = fed.clone().filter(|column| column.optional);
    let optional = optional.map(|column| &column.member);
    let mapping = fed.map(|Column { member, name, .. }| quote!((#member, #name)));
    let (generics, arguments, condition) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #replica::Replica for #ident #arguments #condition {
            const CQRS_ID: &'static str = #cqrs_id;

            fn table() -> #replica::TableModel {
                const MAPPING: &[(&str, &str)] = &[#(#mapping),*];
                const OPTIONAL: &[&str] = &[#(#optional),*];
                #replica::TableModel::new(#table, "")
                    .with_key([#(#key),*])
                    .with_columns(MAPPING.iter().copied())
                    .with_optional(OPTIONAL.iter().copied())
            }
        }
    })
}

fn of_struct(attributes: &[Attribute]) -> Result<OfStruct> {
    let mut read = OfStruct::default();
    each(attributes, "replica", |meta| match &*name(meta) {
        "cqrs_id" => set(&mut read.cqrs_id, meta, value),
        "table" => set(&mut read.table, meta, value),
        "crate" => set(&mut read.replica, meta, path),
        other => Err(meta.error(format!(
            "a struct has no attribute `{other}`: there are `cqrs_id`, `table` and `crate`"
        ))),
    })?;
    Ok(read)
}

fn of_field(attributes: &[Attribute]) -> Result<OfField> {
    let mut read = OfField::default();
    each(attributes, "replica", |meta| match &*name(meta) {
        "key" => set(&mut read.key, meta, word),
        "skip" => set(&mut read.skip, meta, word),
        "from" => set(&mut read.from, meta, value),
        "column" => set(&mut read.column, meta, value),
        "optional" => set(&mut read.optional, meta, word),
        other => Err(meta.error(format!(
            "a field has no attribute `{other}`: there are `key`, `from`, `column`, `optional` \
             and `skip`"
        ))),
    })?;
    Ok(read)
}

fn column(ident: Ident, said: &OfField, errors: &mut Errors) -> Column {
    let name = ident.unraw().to_string();
    let is_key = said.key.is_some();
    if let (Some(span), true) = (said.skip, is_key) {
        let problem =
            format!("`{name}` is of the key, without which there is no row: remove `skip`");
        errors.push(span, problem);
    }
    if let (Some(from), true) = (&said.from, is_key) {
        let problem = format!(
            "`{name}` is of the key, which every message has in its own place: remove `from`"
        );
        errors.push(from.span(), problem);
    }
    if let (Some(from), Some(_)) = (&said.from, said.skip) {
        let problem = format!("`{name}` is left to the database: remove `from`, or remove `skip`");
        errors.push(from.span(), problem);
    }
    let text = |value: &Option<LitStr>| value.as_ref().map_or_else(|| name.clone(), LitStr::value);
    Column {
        name: text(&said.column),
        member: text(&said.from),
        is_key,
        skipped: said.skip.is_some(),
        optional: said.optional.is_some(),
        ident,
    }
}

fn distinct(columns: &[Column], errors: &mut Errors) {
    let mut seen = HashMap::new();
    for column in columns {
        if let Some(other) = seen.insert(&column.name, &column.ident) {
            let problem = format!(
                "`{}` and `{other}` are both the column `{}`: correct `column`",
                column.ident, column.name
            );
            errors.push(column.ident.span(), problem);
        }
    }
}
