//! Names of beans, and what gossip knows.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    cassandra_exporter::fuzz::names(text);
});
