//! A router's rule.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    traefik_exporter::fuzz::hosts(text);
});
