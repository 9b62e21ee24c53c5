//! Index files with right checksums and wrong contents.
#![no_main]

use annals_store_local::fuzzing::{read_index, sample_index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // A whole index to begin with.
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/index");
        std::fs::create_dir_all(corpus).expect("the folder of the crate is writable");
        std::fs::write(format!("{corpus}/sample"), sample_index())
            .expect("the folder of the crate is writable");
    },
    |bytes: &[u8]| read_index(bytes)
);
