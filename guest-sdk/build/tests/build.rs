//! Why a build fails, on real crates. Builds that succeed are in `tests/components`.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;

use annals_sdk_build::{BuildError, BuildOptions, CargoOutput, build, interfaces};

/// A crate of its own workspace, without dependencies.
fn write_crate(folder: &Path, code: &str) -> BuildOptions {
    let manifest = "[package]\nname = \"door\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [workspace]\n";
    std::fs::create_dir(folder.join("src")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), code).unwrap();
    BuildOptions {
        target_dir: Some(folder.join("target")),
        output_dir: folder.join("components"),
        cargo_output: CargoOutput::Capture,
        ..BuildOptions::new(folder)
    }
}

#[test]
fn a_folder_without_a_crate_is_no_plugin() {
    // Guards the wrong working directory.
    let folder = tempfile::tempdir().unwrap();
    let error = build(&BuildOptions::new(folder.path())).unwrap_err();
    assert!(matches!(error, BuildError::NoManifest { .. }), "{error:?}");
    let manifest = folder.path().join("Cargo.toml");
    assert_eq!(error.to_string(), format!("no plugin at `{}`", manifest.display()));
    assert!(error.hint().is_some());
}

#[test]
fn a_crate_that_does_not_compile_fails_with_what_cargo_said() {
    // Guards the diagnostics: without them nobody can mend the crate.
    let folder = tempfile::tempdir().unwrap();
    let options = write_crate(folder.path(), "pub fn broken() -> u8 { \"text\" }");
    let error = build(&options).unwrap_err();
    let BuildError::Compile { output } = &error else { panic!("{error:?}") };
    assert!(output.contains("mismatched types"), "{output}");
    assert!(!options.output_dir.exists());
}

#[test]
fn a_crate_that_exports_nothing_is_no_plugin() {
    // Guards a forgotten `export_aggregate!`.
    let folder = tempfile::tempdir().unwrap();
    let error = build(&write_crate(folder.path(), "pub fn door() {}")).unwrap_err();
    assert!(matches!(error, BuildError::NotAPlugin { .. }), "{error:?}");
    assert_eq!(error.to_string(), "`door` exports no plugin");
    assert!(error.hint().is_some_and(|hint| hint.contains("export_aggregate!")));
}

#[test]
fn a_relative_folder_is_found_from_the_working_directory() {
    // Guards `annals plugin build DIR`: cargo runs in the plugin's folder, paths are the caller's.
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(folder.path().file_name().unwrap());
    let error = build(&write_crate(relative, "pub fn door() {}")).unwrap_err();
    assert!(matches!(error, BuildError::NotAPlugin { .. }), "{error:?}");
    assert!(relative.join("target").is_dir());
    assert!(!relative.join(relative).exists());
}

#[test]
fn bytes_that_are_no_component_have_no_interfaces() {
    // Guards against a panic on whatever file is given.
    for bytes in [b"".as_slice(), b"\0asm", b"\0asm\x01\0\0\0", b"hello, this is no Wasm"] {
        assert!(matches!(interfaces(bytes), Err(BuildError::NotAComponent(_))), "{bytes:?}");
    }
}
