//! OpenMetrics 1.0: no input panics, and what is taken reads the same after it was written.

#![no_main]

use exposition::{Format, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    if let Ok(families) = parse::open_metrics(input) {
        let first = write(&families, Format::OpenMetrics);
        let first = String::from_utf8(first).expect("the writer writes UTF-8");
        let again = parse::open_metrics(&first).expect("what was written can be read");
        assert_eq!(write(&again, Format::OpenMetrics), first.as_bytes());
    }
});
