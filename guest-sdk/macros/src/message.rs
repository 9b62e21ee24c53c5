//! `#[command]`, `#[event]`, `#[outgoing]`, `#[shapes]` and `#[query]`: an enum whose variants are kinds of messages.
//!
//! Each variant with fields gets a hidden struct of the same fields. That struct is decoded and
//! described (`Deserialize`, `JsonSchema`); the enum itself is encoded, as an untagged `Serialize`
//! gives exactly the fields. The name of a message is never in its data.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields};

use crate::derives;
use crate::field::{MessageVariant, Shape};

/// What the messages of an enum are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Event,
    Outgoing,
    Shapes,
    Query,
}

impl Kind {
    fn marker(self) -> Ident {
        match self {
            Self::Command => format_ident!("Command"),
            Self::Event => format_ident!("Event"),
            Self::Outgoing => format_ident!("Outgoing"),
            Self::Shapes => format_ident!("Shapes"),
            Self::Query => format_ident!("Query"),
        }
    }

    /// Commands and queries come from outside, where a misspelt field is a mistake to report.
    /// Events are history: a field that another version recorded is none of our business.
    fn refuses_unknown_fields(self) -> bool {
        matches!(self, Self::Command | Self::Query)
    }

    /// What is sent goes to somebody; everything else is for whoever declares it.
    fn has_targets(self) -> bool {
        self == Self::Outgoing
    }

    /// Everyone but an upcaster knows one version of a message.
    fn takes_several_versions(self) -> bool {
        self == Self::Shapes
    }
}

/// The enum and its `Message` implementation.
pub(crate) fn expand(kind: Kind, mut input: DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &mut input.data else {
        return Err(syn::Error::new(input.span(), "messages are the variants of an enum"));
    };
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new(input.generics.span(), "messages cannot be generic"));
    }
    let variants =
        data.variants.iter().map(MessageVariant::parse).collect::<syn::Result<Vec<_>>>()?;
    check_targets(kind, &variants)?;
    refuse_equal_names(kind, &variants)?;
    for variant in &mut data.variants {
        variant.attrs.retain(|attribute| {
            !attribute.path().is_ident("annals") && !attribute.path().is_ident("schemars")
        });
        strip_schema_attributes(&mut variant.fields);
    }

    let attributes =
        derives::attributes(&["Debug", "Clone", "PartialEq", "Serialize"], &input.attrs);
    let implementation = implementation(kind, &input.ident, &variants)?;
    Ok(quote! {
        #attributes
        #[serde(untagged)]
        #input
        #implementation
    })
}

fn check_targets(kind: Kind, variants: &[MessageVariant]) -> syn::Result<()> {
    for variant in variants {
        let message = match (kind.has_targets(), &variant.target) {
            (true, None) => {
                "say which aggregate takes it: `#[annals(target = \"..\")]` above the variant"
            }
            (false, Some(_)) => "only what a process manager sends has a target",
            _ => continue,
        };
        return Err(syn::Error::new(variant.ident.span(), message));
    }
    Ok(())
}

fn refuse_equal_names(kind: Kind, variants: &[MessageVariant]) -> syn::Result<()> {
    for (index, variant) in variants.iter().enumerate() {
        let is_same = |earlier: &MessageVariant| {
            let is_other_version =
                kind.takes_several_versions() && earlier.schema_version != variant.schema_version;
            let is_for_another = earlier.target != variant.target;
            earlier.name == variant.name && !is_other_version && !is_for_another
        };
        if variants.iter().take(index).any(is_same) {
            let message = format!("a message is already named `{}`", variant.name);
            return Err(syn::Error::new(variant.ident.span(), message));
        }
    }
    Ok(())
}

/// Only the hidden structs derive `JsonSchema`; on the enum its attributes would be unknown.
fn strip_schema_attributes(fields: &mut Fields) {
    for field in fields.iter_mut() {
        field.attrs.retain(|attribute| !attribute.path().is_ident("schemars"));
    }
}

fn implementation(
    kind: Kind,
    ident: &Ident,
    variants: &[MessageVariant],
) -> syn::Result<TokenStream> {
    let structs = variants.iter().filter_map(|variant| data_struct(kind, variant));
    let types = variants.iter().map(|variant| {
        let (name, schema_version) = (&variant.name, variant.schema_version);
        let data_type = data_type(variant);
        quote! {
            ::annals_sdk::MessageType {
                name: #name,
                schema_version: #schema_version,
                schema: ::annals_sdk::__private::schema_of::<#data_type>,
            }
        }
    });
    let indexed = variants
        .iter()
        .enumerate()
        .map(|(index, variant)| match u32::try_from(index) {
            Ok(index) => Ok((index, variant)),
            Err(_) => Err(syn::Error::new(variant.ident.span(), "too many messages")),
        })
        .collect::<syn::Result<Vec<_>>>()?;
    let type_indexes = indexed.iter().map(|(index, variant)| {
        let pattern = any_of(variant);
        quote!(#pattern => #index,)
    });
    let decoders = indexed.iter().map(|(index, variant)| decoder(*index, variant));
    let (units, others): (Vec<_>, Vec<_>) =
        variants.iter().partition(|variant| matches!(variant.shape, Shape::Unit));
    let units = units.iter().map(|variant| &variant.ident);
    let others = (!others.is_empty()).then(|| quote!(_ => ::annals_sdk::__private::encode(self),));
    let marker = kind.marker();
    let targets = kind.has_targets().then(|| {
        let targets = variants.iter().filter_map(|variant| variant.target.as_ref());
        quote!(const TARGETS: &'static [&'static str] = &[#(#targets),*];)
    });

    Ok(quote! {
        const _: () = {
            #(#structs)*

            impl ::annals_sdk::Message for #ident {
                const TYPES: &'static [::annals_sdk::MessageType] = &[#(#types),*];

                fn type_index(&self) -> u32 {
                    match *self { #(#type_indexes)* }
                }

                fn encode(
                    &self,
                ) -> ::core::result::Result<::std::vec::Vec<u8>, ::annals_sdk::EncodeError> {
                    match *self {
                        #(Self::#units => ::core::result::Result::Ok(b"{}".to_vec()),)*
                        #others
                    }
                }

                fn decode(
                    type_index: u32,
                    data: &[u8],
                ) -> ::core::result::Result<Self, ::annals_sdk::DecodeError> {
                    match type_index {
                        #(#decoders)*
                        _ => ::core::result::Result::Err(
                            ::annals_sdk::DecodeError::UnknownType { type_index },
                        ),
                    }
                }
            }

            impl ::annals_sdk::#marker for #ident { #targets }
        };
    })
}

/// A pattern that matches a variant whatever its data.
fn any_of(variant: &MessageVariant) -> TokenStream {
    let ident = &variant.ident;
    match variant.shape {
        Shape::Unit => quote!(Self::#ident),
        Shape::Named(_) => quote!(Self::#ident { .. }),
        Shape::Newtype(_) => quote!(Self::#ident(_)),
    }
}

fn hidden_struct_ident(variant: &MessageVariant) -> Ident {
    format_ident!("__Annals{}", variant.ident)
}

/// The type that a variant's data decodes as.
fn data_type(variant: &MessageVariant) -> TokenStream {
    if let Shape::Newtype(inner) = &variant.shape {
        return quote!(#inner);
    }
    let hidden = hidden_struct_ident(variant);
    quote!(#hidden)
}

fn data_struct(kind: Kind, variant: &MessageVariant) -> Option<TokenStream> {
    let declarations = match &variant.shape {
        Shape::Newtype(_) => return None,
        Shape::Unit => Vec::new(),
        Shape::Named(fields) => fields.iter().map(|field| &field.declaration).collect(),
    };
    let hidden = hidden_struct_ident(variant);
    let attributes = derives::attributes(&["Deserialize", "JsonSchema"], &[]);
    let (name, carried) = (&variant.name, &variant.carried);
    let strict = kind.refuses_unknown_fields().then(|| quote!(#[serde(deny_unknown_fields)]));
    Some(quote! {
        #attributes
        #strict
        #[schemars(rename = #name)]
        #(#carried)*
        struct #hidden { #(#declarations,)* }
    })
}

fn decoder(index: u32, variant: &MessageVariant) -> TokenStream {
    let (ident, name) = (&variant.ident, &variant.name);
    let data_type = data_type(variant);
    let build = match &variant.shape {
        Shape::Unit => quote!(|_| Self::#ident),
        Shape::Newtype(_) => quote!(Self::#ident),
        Shape::Named(fields) => {
            let fields = fields.iter().map(|field| &field.ident);
            quote!(|data| Self::#ident { #(#fields: data.#fields),* })
        }
    };
    quote! {
        #index => ::annals_sdk::__private::decode::<#data_type>(#name, data).map(#build),
    }
}
