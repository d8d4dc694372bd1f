//! The struct as a model, once everything about it makes sense.

use std::{collections::HashMap, time::Duration};

use proc_macro2::{Ident, Span};
use syn::{
    Data, DeriveInput, Error, Fields, GenericParam, Generics, LitStr, Path, Result, Type,
    ext::IdentExt, parse_quote, spanned::Spanned,
};

use crate::{
    attributes::{OfField, OfStruct, travels},
    errors::Errors,
    ttl,
};

pub(crate) struct Model {
    pub(crate) ident: Ident,
    /// Lifetimes at most.
    pub(crate) generics: Generics,
    /// The path of cqrs-outbox.
    pub(crate) outbox: Path,
    pub(crate) cqrs_id: LitStr,
    pub(crate) table: Option<LitStr>,
    pub(crate) tracked: Tracked,
    pub(crate) ttl: Option<Duration>,
    pub(crate) produce: bool,
    pub(crate) filter: Option<Path>,
    pub(crate) meta: Option<Path>,
    pub(crate) delete_data: Option<Path>,
    pub(crate) fields: Vec<Field>,
}

pub(crate) enum Tracked {
    None,
    All,
    /// These members.
    Members(Vec<String>),
}

pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) key: bool,
    pub(crate) published: bool,
    /// The name on the wire.
    pub(crate) member: String,
    /// The name in the table.
    pub(crate) column: String,
    /// The module that serialises it.
    pub(crate) with: Option<Path>,
    /// Base64 on the wire, bytes in the table.
    pub(crate) bytes: bool,
}

const NAMED: &str = "a model is a struct with named fields, which become the members of its data: for \
                     anything else write `impl Master` by hand";

/// What the framework adds to the data.
const RESERVED: [&str; 2] = ["cqrs_revision", "cqrs_updated"];

impl Model {
    /// Reads a struct.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn of(input: DeriveInput) -> Result<Self> {
        let mut errors = Errors::default();
        let fields = named_fields(&input, NAMED)?;
        only_lifetimes(&input.generics)?;
        let said = errors
            .take(OfStruct::read(&input.attrs))
            .unwrap_or_default();
        let read: Vec<_> = fields
            .into_iter()
            .filter_map(|field| {
                let said = errors.take(OfField::read(&field.attrs))?;
                // Named fields have names.
                let ident = field.ident?;
                Some((ident, field.ty, said))
            })
            .collect();
        errors.finish()?;

        let mut errors = Errors::default();
        let outbox = said
            .outbox
            .clone()
            .unwrap_or_else(|| parse_quote!(::cqrs_outbox));
        let fields: Vec<Field> = read
            .into_iter()
            .map(|(ident, ty, of_field)| field(ident, ty, of_field, &said, &outbox, &mut errors))
            .collect();
        check_fields(&fields, &said, input.ident.span(), &mut errors);
        let tracked = tracked(&fields, said.tracked.as_deref(), &mut errors);
        let ttl = said.ttl.as_ref().and_then(|text| {
            let length = ttl::parse(&text.value());
            errors.take(length.map_err(|problem| Error::new(text.span(), problem)))
        });
        let cqrs_id = errors.take(said.cqrs_id.ok_or_else(|| {
            let name = input.ident.unraw().to_string().to_lowercase();
            let problem = format!(
                "the model has no name: add `#[master(cqrs_id = \"{name}\")]` to the struct"
            );
            Error::new(input.ident.span(), problem)
        }));
        let cqrs_id = cqrs_id.and_then(|id| errors.take(travels(id)));
        match (errors.finish(), cqrs_id) {
            (Ok(()), Some(cqrs_id)) => Ok(Self {
                ident: input.ident,
                generics: input.generics,
                outbox,
                cqrs_id,
                table: said.table,
                tracked,
                ttl,
                produce: said.produce.is_none_or(|produce| produce.value),
                filter: said.filter,
                meta: said.meta,
                delete_data: said.delete_data,
                fields,
            }),
            (Err(errors), _) => Err(errors),
            (Ok(()), None) => unreachable!("a missing or wrong cqrs_id is an error"),
        }
    }

    pub(crate) fn key(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.key)
    }
}

pub(crate) fn named_fields(
    input: &DeriveInput,
    otherwise: &str,
) -> Result<syn::punctuated::Punctuated<syn::Field, syn::Token![,]>> {
    if let Data::Struct(data) = &input.data
        && let Fields::Named(fields) = &data.fields
    {
        return Ok(fields.named.clone());
    }
    Err(Error::new(input.ident.span(), otherwise))
}

fn only_lifetimes(generics: &Generics) -> Result<()> {
    for parameter in &generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            return Err(Error::new(
                parameter.span(),
                "a model has one `CQRS_ID` and so no generic types: derive it for a struct without \
                 this parameter",
            ));
        }
    }
    Ok(())
}

fn field(
    ident: Ident,
    ty: Type,
    said: OfField,
    of_struct: &OfStruct,
    outbox: &Path,
    errors: &mut Errors,
) -> Field {
    let name = ident.unraw().to_string();
    let key = said.key.is_some();
    if let (Some(span), true) = (said.skip, key) {
        let problem = format!("`{name}` is of the key, which is always published: remove `skip`");
        errors.push(span, problem);
    }
    if let (Some(span), Some(_)) = (said.bytes, &said.with) {
        let problem = format!("`bytes` says how `{name}` is written: remove it, or remove `with`");
        errors.push(span, problem);
    }
    if let (Some(column), None) = (&said.column, &of_struct.table) {
        let problem = format!(
            "`{name}` has a column but the struct no table: add `table = \"…\"` to it, or remove `column`"
        );
        errors.push(column.span(), problem);
    }
    let listed = match &of_struct.fields {
        None => true,
        Some(fields) => fields.contains(&ident),
    };
    if let (Some(span), Some(_), true) = (said.skip, &of_struct.fields, listed) {
        let problem =
            format!("`{name}` is listed in `fields(…)` and skipped: remove one of the two");
        errors.push(span, problem);
    }
    let published = key || (listed && said.skip.is_none());
    if let (Some(rename), false) = (&said.rename, published) {
        let problem = format!("`{name}` is not published: remove `rename`, or publish it");
        errors.push(rename.span(), problem);
    }
    let bytes = said.bytes.is_some();
    let form = bytes.then(|| parse_quote!(#outbox::form::bytes));
    let text = |value: Option<LitStr>| value.map_or_else(|| name.clone(), |text| text.value());
    Field {
        key,
        published,
        member: text(said.rename),
        column: text(said.column),
        with: said.with.or(form),
        bytes,
        ident,
        ty,
    }
}

fn check_fields(fields: &[Field], said: &OfStruct, of_struct: Span, errors: &mut Errors) {
    if !fields.iter().any(|field| field.key) {
        errors.push(
            of_struct,
            "no field is the key: put `#[master(key)]` on it, or on each of several that are",
        );
    }
    for name in said.fields.iter().flatten() {
        if !fields.iter().any(|field| field.ident == *name) {
            errors.push(
                name.span(),
                format!("there is no field `{name}`: correct `fields(…)`"),
            );
        }
    }
    let mut members = HashMap::new();
    let mut columns = HashMap::new();
    for field in fields {
        let (name, span) = (field.ident.unraw(), field.ident.span());
        if field.published && RESERVED.contains(&&*field.member) {
            let problem = format!(
                "the member `{}` is written by the framework: skip `{name}`, or rename it",
                field.member
            );
            errors.push(span, problem);
        }
        if field.published
            && let Some(other) = members.insert(&field.member, &field.ident)
        {
            let problem = format!(
                "`{name}` and `{other}` are both sent as `{}`: rename one of them",
                field.member
            );
            errors.push(span, problem);
        }
        if said.table.is_some()
            && let Some(other) = columns.insert(&field.column, &field.ident)
        {
            let problem = format!(
                "`{name}` and `{other}` are both of the column `{}`: correct `column`",
                field.column
            );
            errors.push(span, problem);
        }
    }
}

fn tracked(fields: &[Field], said: Option<&[Ident]>, errors: &mut Errors) -> Tracked {
    let Some(names) = said else {
        return Tracked::None;
    };
    if let [name] = names
        && name == "all"
    {
        return Tracked::All;
    }
    let mut members = Vec::new();
    for name in names {
        match fields.iter().find(|field| field.ident == *name) {
            None => {
                let problem = format!(
                    "there is no field `{name}`: correct `tracked(…)`, or say `tracked(all)`"
                );
                errors.push(name.span(), problem);
            }
            Some(field) if !field.published => {
                let problem = format!(
                    "`{name}` is not published, so its old value cannot be: remove it here"
                );
                errors.push(name.span(), problem);
            }
            Some(field) if members.contains(&field.member) => {
                errors.push(
                    name.span(),
                    format!("`{name}` is tracked twice: once is enough"),
                );
            }
            Some(field) => members.push(field.member.clone()),
        }
    }
    Tracked::Members(members)
}
