//! What is written in `#[master(…)]`, and the ways to read it.

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, Error, LitBool, LitStr, Path, Result, Token, meta::ParseNestedMeta, parse::Parse,
    punctuated::Punctuated, spanned::Spanned, token::Paren,
};

/// Of the struct.
#[derive(Default)]
pub(crate) struct OfStruct {
    pub(crate) cqrs_id: Option<LitStr>,
    pub(crate) table: Option<LitStr>,
    pub(crate) tracked: Option<Vec<Ident>>,
    pub(crate) ttl: Option<LitStr>,
    pub(crate) produce: Option<LitBool>,
    pub(crate) fields: Option<Vec<Ident>>,
    pub(crate) filter: Option<Path>,
    pub(crate) meta: Option<Path>,
    pub(crate) delete_data: Option<Path>,
    pub(crate) outbox: Option<Path>,
}

/// Of a field. Words without a value are where they stand.
#[derive(Default)]
pub(crate) struct OfField {
    pub(crate) key: Option<Span>,
    pub(crate) skip: Option<Span>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) column: Option<LitStr>,
    pub(crate) with: Option<Path>,
    pub(crate) bytes: Option<Span>,
}

impl OfStruct {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        each(attributes, "master", |meta| match &*name(meta) {
            "cqrs_id" => set(&mut read.cqrs_id, meta, value),
            "table" => set(&mut read.table, meta, value),
            "tracked" => set(&mut read.tracked, meta, names),
            "ttl" => set(&mut read.ttl, meta, value),
            "produce" => set(&mut read.produce, meta, value),
            "fields" => set(&mut read.fields, meta, names),
            "filter" => set(&mut read.filter, meta, path),
            "meta" => set(&mut read.meta, meta, path),
            "delete_data" => set(&mut read.delete_data, meta, path),
            "crate" => set(&mut read.outbox, meta, path),
            other => Err(meta.error(format!(
                "a struct has no attribute `{other}`: there are `cqrs_id`, `table`, `tracked(…)`, \
                 `ttl`, `produce`, `fields(…)`, `filter`, `meta`, `delete_data` and `crate`"
            ))),
        })?;
        Ok(read)
    }
}

impl OfField {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        each(attributes, "master", |meta| match &*name(meta) {
            "key" => set(&mut read.key, meta, word),
            "skip" => set(&mut read.skip, meta, word),
            "rename" => set(&mut read.rename, meta, value),
            "column" => set(&mut read.column, meta, value),
            "with" => set(&mut read.with, meta, path),
            "bytes" => set(&mut read.bytes, meta, word),
            other => Err(meta.error(format!(
                "a field has no attribute `{other}`: there are `key`, `skip`, `rename`, `column`, \
                 `with` and `bytes`"
            ))),
        })?;
        Ok(read)
    }
}

/// Reads all attributes of this name.
pub(crate) fn each(
    attributes: &[Attribute],
    name: &str,
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident(name) {
            attribute.parse_nested_meta(|meta| read(&meta))?;
        }
    }
    Ok(())
}

pub(crate) fn name(meta: &ParseNestedMeta<'_>) -> String {
    meta.path
        .get_ident()
        .map_or_else(|| "that".to_owned(), Ident::to_string)
}

pub(crate) fn set<T>(
    place: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    read: fn(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    if place.is_some() {
        return Err(meta.error(format!("`{}` is said twice: once is enough", name(meta))));
    }
    *place = Some(read(meta)?);
    Ok(())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one of the ways to read an attribute"
)]
pub(crate) fn word(meta: &ParseNestedMeta<'_>) -> Result<Span> {
    Ok(meta.path.span())
}

pub(crate) fn value<T: Parse>(meta: &ParseNestedMeta<'_>) -> Result<T> {
    meta.value()?.parse()
}

/// `= "a::path"`, as in serde, or `= a::path`.
pub(crate) fn path(meta: &ParseNestedMeta<'_>) -> Result<Path> {
    let input = meta.value()?;
    if input.peek(LitStr) {
        input.parse::<LitStr>()?.parse()
    } else {
        input.parse()
    }
}

/// `(a, b)`
fn names(meta: &ParseNestedMeta<'_>) -> Result<Vec<Ident>> {
    if !meta.input.peek(Paren) {
        let name = name(meta);
        return Err(meta.error(format!("`{name}` takes a list of fields: `{name}(a, b)`")));
    }
    let list;
    syn::parenthesized!(list in meta.input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&list)?;
    Ok(names.into_iter().collect())
}

/// A model's name, if it can travel: the rules are those of `cqrs_core::CqrsId`.
pub(crate) fn travels(id: LitStr) -> Result<LitStr> {
    let text = id.value();
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > 100 {
        "is longer than 100 bytes"
    } else if text.contains(['*', '#']) {
        "contains a routing wildcard (`*` or `#`)"
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "contains white space or a control character"
    } else if text.starts_with("cqrs.") {
        "starts with `cqrs.`, which is reserved for direct messages"
    } else {
        return Ok(id);
    };
    Err(Error::new(id.span(), format!("this `cqrs_id` {problem}")))
}
