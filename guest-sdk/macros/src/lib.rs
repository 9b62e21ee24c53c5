//! The attribute macros of `annals-sdk`. Use them through that crate, which documents them.

mod derives;
mod field;
mod message;
mod names;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use crate::message::Kind;

/// Makes an enum the commands of an aggregate; see `annals_sdk::command`.
#[proc_macro_attribute]
pub fn command(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_message(Kind::Command, &arguments, item)
}

/// Makes an enum the events of an aggregate, projection or process manager; see `annals_sdk::event`.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_message(Kind::Event, &arguments, item)
}

/// Makes an enum the commands that a process manager sends; see `annals_sdk::outgoing`.
#[proc_macro_attribute]
pub fn outgoing(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_message(Kind::Outgoing, &arguments, item)
}

/// Makes an enum the shapes that an upcaster takes or makes; see `annals_sdk::shapes`.
#[proc_macro_attribute]
pub fn shapes(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_message(Kind::Shapes, &arguments, item)
}

/// Makes an enum the queries of a projection; see `annals_sdk::query`.
#[proc_macro_attribute]
pub fn query(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_message(Kind::Query, &arguments, item)
}

/// Makes a type part of messages, rows or state; see `annals_sdk::data`.
#[proc_macro_attribute]
pub fn data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_derives(derives::DATA, &arguments, item)
}

/// Makes a type the state of an aggregate; see `annals_sdk::state`.
#[proc_macro_attribute]
pub fn state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_derives(derives::STATE, &arguments, item)
}

fn expand_message(kind: Kind, arguments: &TokenStream, item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    no_arguments(arguments)
        .and_then(|()| message::expand(kind, input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn expand_derives(wanted: &[&str], arguments: &TokenStream, item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    no_arguments(arguments)
        .map(|()| derives::expand(wanted, &input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// What there is to say is said on the variants, with `#[annals(..)]`.
fn no_arguments(arguments: &TokenStream) -> syn::Result<()> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(proc_macro2::Span::call_site(), "this attribute takes no arguments"))
}
