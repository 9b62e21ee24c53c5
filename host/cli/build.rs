//! Says when the plugin SDK, which is part of the binary, has changed: `include_dir` sees changed
//! files, and not new ones.

fn main() {
    for folder in ["guest-sdk/src", "guest-sdk/macros/src", "wit"] {
        println!("cargo:rerun-if-changed=../../{folder}");
    }
}
