//! Traefik's own metrics on their way.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    traefik_exporter::fuzz::metrics(bytes);
});
