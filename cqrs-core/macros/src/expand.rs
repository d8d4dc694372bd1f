//! The impls.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Lifetime, Path, parse_quote, spanned::Spanned};

use crate::model::{Field, Model, Tracked};

pub(crate) fn impls(model: &Model) -> TokenStream {
    let Model {
        ident,
        outbox,
        cqrs_id,
        ..
    } = model;
    let (generics, arguments, condition) = model.generics.split_for_impl();
    let constants = constants(model);
    let key = key(model);
    let published = model.fields.iter().filter(|field| field.published);
    let data = object(model, published.map(|field| (field, &*field.member)));
    let overrides = overrides(model);
    let table = table(model);
    quote! {
        #[automatically_derived]
        impl #generics #outbox::Master for #ident #arguments #condition {
            const CQRS_ID: &'static str = #cqrs_id;
            #constants

            fn key(&self) -> #outbox::InstanceKey {
                #key
            }

            fn data(&self) -> impl #outbox::__private::Serialize {
                #data
            }

            #overrides
        }

        #table
    }
}

fn constants(model: &Model) -> TokenStream {
    let outbox = &model.outbox;
    let mut constants = TokenStream::new();
    let tracked = match &model.tracked {
        Tracked::None => None,
        Tracked::All => Some(quote!(All)),
        Tracked::Members(members) => Some(quote!(Fields(&[#(#members),*]))),
    };
    if let Some(tracked) = tracked {
        constants.extend(quote! {
            const TRACKED: #outbox::Tracked = #outbox::Tracked::#tracked;
        });
    }
    if let Some(ttl) = model.ttl {
        // It was made of milliseconds.
        let seconds = ttl.as_secs();
        let nanos = ttl.subsec_nanos();
        constants.extend(quote! {
            const TTL: ::core::option::Option<::core::time::Duration> =
                ::core::option::Option::Some(::core::time::Duration::new(#seconds, #nanos));
        });
    }
    if !model.produce {
        constants.extend(quote! {
            const PRODUCE: bool = false;
        });
    }
    constants
}

fn key(model: &Model) -> TokenStream {
    let outbox = &model.outbox;
    let cloned = |field: &Field, into: TokenStream| {
        let name = &field.ident;
        // So that a type that cannot be a key is marked where it stands.
        quote_spanned! { field.ty.span() =>
            <#into as ::core::convert::From<_>>::from(::core::clone::Clone::clone(&self.#name))
        }
    };
    let key: Vec<&Field> = model.key().collect();
    if let [field] = *key {
        return cloned(field, quote!(#outbox::InstanceKey));
    }
    let parts = key
        .into_iter()
        .map(|field| cloned(field, quote!(#outbox::KeyPart)));
    quote! {
        #outbox::InstanceKey::Composite(::std::vec![#(#parts),*])
    }
}

fn overrides(model: &Model) -> TokenStream {
    let outbox = &model.outbox;
    let mut methods = TokenStream::new();
    if let Some(filter) = &model.filter {
        methods.extend(quote! {
            fn should_sync(&self) -> bool {
                #filter(self)
            }
        });
    }
    if let Some(meta) = &model.meta {
        methods.extend(quote! {
            fn meta(
                about: &#outbox::About<'_>,
            ) -> ::core::option::Option<#outbox::__private::Value> {
                #meta(about)
            }
        });
    }
    if let Some(delete_data) = &model.delete_data {
        methods.extend(quote! {
            fn delete_data(
                &self,
                signal: #outbox::Signal,
                before: ::core::option::Option<&Self>,
            ) -> ::core::option::Option<#outbox::__private::Value> {
                #delete_data(self, signal, before)
            }
        });
    }
    methods
}

fn table(model: &Model) -> TokenStream {
    let Some(table) = &model.table else {
        return TokenStream::new();
    };
    let Model { ident, outbox, .. } = model;
    let (generics, arguments, condition) = model.generics.split_for_impl();
    let key = model.key().map(|field| &field.column);
    let bytes: Vec<&String> = model
        .fields
        .iter()
        .filter(|field| field.bytes)
        .map(|field| &field.column)
        .collect();
    let bytes = (!bytes.is_empty()).then(|| {
        quote! {
            const BYTES: &'static [&'static str] = &[#(#bytes),*];
        }
    });
    let row = object(
        model,
        model.fields.iter().map(|field| (field, &*field.column)),
    );
    quote! {
        #[automatically_derived]
        impl #generics #outbox::Table for #ident #arguments #condition {
            const TABLE: &'static str = #table;
            const KEY: &'static [&'static str] = &[#(#key),*];
            #bytes

            fn row(&self) -> impl #outbox::__private::Serialize {
                #row
            }
        }
    }
}

/// `self` as something that serialises to an object of these fields, under these names.
fn object<'m>(
    model: &'m Model,
    members: impl Iterator<Item = (&'m Field, &'m str)>,
) -> TokenStream {
    let private = {
        let outbox = &model.outbox;
        quote!(#outbox::__private)
    };
    let name = model.ident.to_string();
    let mut count = 0_usize;
    let mut writes = TokenStream::new();
    for (field, name) in members {
        count += 1;
        let ident = &field.ident;
        let value = match &field.with {
            None => quote_spanned!(field.ty.span() => &self.0.#ident),
            Some(module) => with(model, module, field),
        };
        writes.extend(quote! {
            #private::SerializeStruct::serialize_field(&mut object, #name, #value)?;
        });
    }
    let count = Literal::usize_unsuffixed(count);
    let object = borrowed(
        model,
        &quote!(__CqrsObject),
        &quote! {
            let mut object = #private::Serializer::serialize_struct(serializer, #name, #count)?;
            #writes
            #private::SerializeStruct::end(object)
        },
    );
    quote! {
        #object
        __CqrsObject(self)
    }
}

/// A field as its module serialises it.
fn with(model: &Model, module: &Path, field: &Field) -> TokenStream {
    let ident = &field.ident;
    let form = borrowed(
        model,
        &quote!(__CqrsForm),
        &quote_spanned!(module.span() => #module::serialize(&self.0.#ident, serializer)),
    );
    quote! {
        &{
            #form
            __CqrsForm(self.0)
        }
    }
}

/// A type that borrows the model and serialises in this way.
fn borrowed(model: &Model, name: &TokenStream, body: &TokenStream) -> TokenStream {
    let Model { ident, outbox, .. } = model;
    let (_, arguments, _) = model.generics.split_for_impl();
    let mut generics = model.generics.clone();
    let borrow: Lifetime = parse_quote!('cqrs);
    generics.params.insert(0, parse_quote!(#borrow));
    let (parameters, borrowed_arguments, condition) = generics.split_for_impl();
    quote! {
        struct #name #parameters (&#borrow #ident #arguments) #condition;

        impl #parameters #outbox::__private::Serialize for #name #borrowed_arguments #condition {
            fn serialize<S: #outbox::__private::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                #body
            }
        }
    }
}
