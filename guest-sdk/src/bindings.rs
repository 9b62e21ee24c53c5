//! The contract with the host in Rust, as `wit-bindgen` makes it of `wit/`.
//!
//! It is generated ahead and committed: generating it in every plugin's build would cost more than
//! half of that build. A test keeps it current.

include!("bindings/generated.in");
