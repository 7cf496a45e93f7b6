//! The query of a URL: any text gives pairs, none longer than the text.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    for (name, value) in daemon::http::query_pairs(input) {
        // A byte that is no UTF-8 becomes a character of three.
        assert!(name.len() + value.len() <= 3 * input.len());
    }
});
