//! Says when the plugin SDK, which is part of the binary, has changed: `include_dir` sees changed
//! files, and not new ones.

const SOURCES: [&str; 5] = [
    "guest-sdk/src",
    "guest-sdk/macros/src",
    "guest-sdk/js/src",
    "guest-sdk/python/annals_sdk",
    "wit",
];

fn main() {
    for folder in SOURCES {
        println!("cargo:rerun-if-changed=../../{folder}");
    }
}
