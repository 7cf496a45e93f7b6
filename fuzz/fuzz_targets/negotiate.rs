//! An `Accept` header: any text gives a format.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let format = exposition::Format::negotiate(Some(input));
    assert!(format.content_type().contains("; "));
});
