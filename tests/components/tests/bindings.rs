//! The SDK's committed bindings.

#[test]
fn committed_bindings_are_what_the_contract_generates() {
    // Guards against a change of `wit/` that the SDK does not follow.
    let root = annals_components::workspace_root();
    let generated = annals_components::bindings::generate(&root.join("wit")).unwrap();
    for (path, expected) in generated {
        let committed = std::fs::read(root.join("guest-sdk/src").join(&path)).unwrap();
        let is_current = committed == expected;
        assert!(
            is_current,
            "{} is out of date: run `cargo run -p annals-components --example generate-bindings`",
            path.display(),
        );
    }
}
