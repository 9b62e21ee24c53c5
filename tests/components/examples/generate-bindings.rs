//! Writes `guest-sdk/src/bindings/generated.in` and the encoded worlds beside it.

fn main() -> anyhow::Result<()> {
    let root = annals_components::workspace_root();
    for (path, content) in annals_components::bindings::generate(&root.join("wit"))? {
        std::fs::write(root.join("guest-sdk/src").join(path), content)?;
    }
    Ok(())
}
