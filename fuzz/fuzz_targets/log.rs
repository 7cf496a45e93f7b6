//! Lines of Traefik's log, and of its access log.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    traefik_exporter::fuzz::lines(bytes);
});
