//! What a Jolokia agent answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    cassandra_exporter::fuzz::answer(bytes);
});
