//! The text format 0.0.4: no input panics, and what is taken reads the same after it was written.

#![no_main]

use exposition::{Format, gather, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let _strict = parse::text_strict(input);
    if let Ok(families) = parse::text(input) {
        // As a program writes it: what contradicts other parts is not read the same.
        let first = write(&gather(families).0, Format::Text);
        let first = String::from_utf8(first).expect("the writer writes UTF-8");
        let again = parse::text(&first).expect("what was written can be read");
        assert_eq!(write(&gather(again).0, Format::Text), first.as_bytes());
    }
});
