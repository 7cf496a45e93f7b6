//! What Traefik's API answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    traefik_exporter::fuzz::answer(bytes);
});
