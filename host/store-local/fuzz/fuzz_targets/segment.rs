//! Segments with right checksums and wrong contents.
#![no_main]

use annals_store_local::fuzzing::{decode_segment, sample_segment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // A whole segment to begin with.
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/segment");
        std::fs::create_dir_all(corpus).expect("the folder of the crate is writable");
        std::fs::write(format!("{corpus}/sample"), sample_segment())
            .expect("the folder of the crate is writable");
    },
    |bytes: &[u8]| decode_segment(bytes)
);
