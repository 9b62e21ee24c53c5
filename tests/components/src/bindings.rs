//! Generates `guest-sdk/src/bindings/generated.in` and the encoded worlds beside it from `wit/`.
//!
//! The SDK commits what `wit-bindgen` would generate in every plugin's build. One world holds all
//! that a plugin could import and export, so that there is one set of types; the component's real
//! world is in a custom section that the SDK's export macros add.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_component::StringEncoding;
use wit_parser::{PackageId, Resolve, WorldId};

/// Worlds whose encoding the SDK has in a file.
const WORLDS: [&str; 5] = [
    "aggregate-plugin",
    "projection-plugin",
    "queryable-projection-plugin",
    "process-manager-plugin",
    "upcaster-plugin",
];

/// Everything an SDK needs types for.
const SDK_WORLD: &str = "
    package annals:sdk;

    world guest {
        import annals:plugin/log@0.1.0;
        import annals:plugin/view@0.1.0;
        export annals:plugin/descriptor@0.1.0;
        export annals:plugin/aggregate@0.1.0;
        export annals:plugin/projection@0.1.0;
        export annals:plugin/query@0.1.0;
        export annals:plugin/process-manager@0.1.0;
        export annals:plugin/upcaster@0.1.0;
    }
";

const HEADER: &str = "\
// What `wit-bindgen` makes of `wit/`. Generated; to make it anew:
// `cargo run -p annals-components --example generate-bindings`.

";

/// Files to be found in `guest-sdk/src`, by their path in there, with their content.
///
/// # Errors
///
/// When the WIT does not parse or a world is missing.
pub fn generate(wit: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let (mut resolve, package) = crate::contract::resolve(wit)?;
    let mut files = Vec::new();
    for name in WORLDS {
        let world = resolve.select_world(&[package], Some(name))?;
        let encoded = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)?;
        files.push((PathBuf::from(format!("bindings/{name}.world")), encoded));
    }
    let sdk = resolve.push_str("sdk.wit", SDK_WORLD)?;
    let rust = generate_rust(&mut resolve, sdk)?;
    files.push((PathBuf::from("bindings/generated.in"), rust));
    Ok(files)
}

fn generate_rust(resolve: &mut Resolve, package: PackageId) -> anyhow::Result<Vec<u8>> {
    let world: WorldId = resolve.select_world(&[package], Some("guest"))?;
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        ..wit_bindgen_rust::Opts::default()
    };
    drop_documentation(resolve);
    let mut files = Files::default();
    options.build().generate(resolve, world, &mut files)?;
    let (_, rust) = files.iter().next().context("wit-bindgen generated no file")?;
    Ok([HEADER.as_bytes(), rust].concat())
}

/// Nobody reads the bindings, and the WIT has it.
fn drop_documentation(resolve: &mut Resolve) {
    for (_, interface) in resolve.interfaces.iter_mut() {
        interface.docs = wit_parser::Docs::default();
        for function in interface.functions.values_mut() {
            function.docs = wit_parser::Docs::default();
        }
    }
    for (_, definition) in resolve.types.iter_mut() {
        definition.docs = wit_parser::Docs::default();
        match &mut definition.kind {
            wit_parser::TypeDefKind::Record(record) => {
                record.fields.iter_mut().for_each(|field| field.docs = wit_parser::Docs::default());
            }
            wit_parser::TypeDefKind::Variant(variant) => {
                variant.cases.iter_mut().for_each(|case| case.docs = wit_parser::Docs::default());
            }
            _ => {}
        }
    }
}
