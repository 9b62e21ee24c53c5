//! The variants of a message enum, as far as the macros care: a name, a version and data.

use proc_macro2::TokenStream;
use syn::spanned::Spanned as _;
use syn::{Attribute, Fields, Ident, LitInt, LitStr, Type, Variant};

use crate::names::{is_kebab_case, kebab_case};

/// One kind of command, event or query.
pub(crate) struct MessageVariant {
    pub(crate) ident: Ident,
    /// On the wire.
    pub(crate) name: String,
    pub(crate) schema_version: u32,
    /// Of a command that is sent, the aggregate that takes it.
    pub(crate) target: Option<String>,
    /// Attributes that its data's own type takes over: documentation, serde's, schemars'.
    pub(crate) carried: Vec<Attribute>,
    pub(crate) shape: Shape,
}

/// Where the data of a message is.
pub(crate) enum Shape {
    /// No data: `{}`.
    Unit,
    /// The object of these fields, each with its attributes.
    Named(Vec<NamedField>),
    /// Whatever another type makes of itself.
    Newtype(Box<Type>),
}

/// One field of a variant.
pub(crate) struct NamedField {
    pub(crate) ident: Ident,
    /// The field as it is written in a struct.
    pub(crate) declaration: TokenStream,
}

impl MessageVariant {
    /// Reads a variant and its `#[annals(..)]` options.
    pub(crate) fn parse(variant: &Variant) -> syn::Result<Self> {
        let mut name = kebab_case(&variant.ident.to_string());
        let mut schema_version = 1;
        let mut target = None;
        for attribute in variant.attrs.iter().filter(|a| a.path().is_ident("annals")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    let literal: LitStr = meta.value()?.parse()?;
                    name = literal.value();
                    if is_kebab_case(&name) {
                        return Ok(());
                    }
                    return Err(syn::Error::new(literal.span(), KEBAB_CASE));
                }
                if meta.path.is_ident("schema_version") {
                    let literal: LitInt = meta.value()?.parse()?;
                    schema_version = literal.base10_parse()?;
                    if schema_version > 0 {
                        return Ok(());
                    }
                    return Err(syn::Error::new(literal.span(), "schema versions start at 1"));
                }
                if meta.path.is_ident("target") {
                    let literal: LitStr = meta.value()?.parse()?;
                    if !is_kebab_case(&literal.value()) {
                        return Err(syn::Error::new(literal.span(), KEBAB_CASE_TARGET));
                    }
                    target = Some(literal.value());
                    return Ok(());
                }
                Err(meta.error("expected `name`, `schema_version` or `target`"))
            })?;
        }
        if !is_kebab_case(&name) {
            return Err(syn::Error::new(variant.ident.span(), KEBAB_CASE));
        }
        Ok(Self {
            ident: variant.ident.clone(),
            name,
            schema_version,
            target,
            carried: variant.attrs.iter().filter(|a| is_carried(a)).cloned().collect(),
            shape: Shape::parse(&variant.fields)?,
        })
    }
}

fn is_carried(attribute: &Attribute) -> bool {
    let path = attribute.path();
    path.is_ident("doc") || path.is_ident("serde") || path.is_ident("schemars")
}

const KEBAB_CASE: &str = "a message name is 1 to 64 lower-case letters and digits, in words joined \
                          by single dashes, and starts with a letter";

const KEBAB_CASE_TARGET: &str = "a target is the name of an aggregate: lower-case letters and digits, \
                                 in words joined by single dashes";

impl Shape {
    fn parse(fields: &Fields) -> syn::Result<Self> {
        match fields {
            Fields::Unit => Ok(Self::Unit),
            Fields::Named(named) => named
                .named
                .iter()
                .map(|field| {
                    let ident = field.ident.clone().ok_or_else(|| {
                        syn::Error::new(field.span(), "expected a field with a name")
                    })?;
                    let attributes = &field.attrs;
                    let declared_type = &field.ty;
                    let declaration = quote::quote!(#(#attributes)* #ident: #declared_type);
                    Ok(NamedField { ident, declaration })
                })
                .collect::<syn::Result<Vec<_>>>()
                .map(Self::Named),
            Fields::Unnamed(unnamed) => match unnamed.unnamed.first() {
                Some(field) if unnamed.unnamed.len() == 1 => {
                    Ok(Self::Newtype(Box::new(field.ty.clone())))
                }
                _ => Err(syn::Error::new(
                    unnamed.span(),
                    "the data of a message is a JSON object, so its fields need names",
                )),
            },
        }
    }
}
