//! `#[data]` and `#[state]`: the derives a plugin's own types need, through the SDK's copies of
//! serde and schemars, so that a plugin depends on the SDK alone.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Path, Token};

/// Derives of a type that is part of messages, rows or state.
pub(crate) const DATA: &[&str] =
    &["Debug", "Clone", "PartialEq", "Serialize", "Deserialize", "JsonSchema"];

/// Derives of the state of an aggregate.
pub(crate) const STATE: &[&str] =
    &["Debug", "Clone", "PartialEq", "Default", "Serialize", "Deserialize", "JsonSchema"];

/// The item with the `wanted` derives it does not have yet.
pub(crate) fn expand(wanted: &[&str], input: &DeriveInput) -> TokenStream {
    let attributes = attributes(wanted, &input.attrs);
    quote! {
        #attributes
        #input
    }
}

/// `#[derive(..)]` for what is in `wanted` and not derived by `present`, with the `crate` options
/// that serde and schemars need.
pub(crate) fn attributes(wanted: &[&str], present: &[Attribute]) -> TokenStream {
    let derived = derived(present);
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| !derived.iter().any(|other| other == name)).collect();
    let paths = missing.iter().map(|name| derive_path(name));
    let uses_serde = missing.iter().any(|name| matches!(*name, "Serialize" | "Deserialize"));
    let serde_crate = uses_serde.then(|| quote!(#[serde(crate = "::annals_sdk::serde")]));
    let schemars_crate = missing
        .contains(&"JsonSchema")
        .then(|| quote!(#[schemars(crate = "::annals_sdk::schemars")]));
    quote! {
        #[derive(#(#paths),*)]
        #serde_crate
        #schemars_crate
    }
}

fn derive_path(name: &str) -> TokenStream {
    let ident = Ident::new(name, Span::call_site());
    match name {
        "Serialize" | "Deserialize" => quote!(::annals_sdk::serde::#ident),
        "JsonSchema" => quote!(::annals_sdk::schemars::JsonSchema),
        _ => quote!(#ident),
    }
}

/// Last segments of the paths in the `#[derive(..)]` attributes below ours.
fn derived(attributes: &[Attribute]) -> Vec<String> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .filter_map(|attribute| {
            attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()
        })
        .flatten()
        .filter_map(|path| path.segments.last().map(|segment| segment.ident.to_string()))
        .collect()
}
