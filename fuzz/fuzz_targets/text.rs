//! The text format 0.0.4: no input panics, and what is taken reads the same after it was written.

#![no_main]

use exposition::{Format, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let _strict = parse::text_strict(input);
    if let Ok(families) = parse::text(input) {
        let first = write(&families, Format::Text);
        let first = String::from_utf8(first).expect("the writer writes UTF-8");
        let again = parse::text(&first).expect("what was written can be read");
        assert_eq!(write(&again, Format::Text), first.as_bytes());
    }
});
