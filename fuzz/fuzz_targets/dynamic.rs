//! A file of Traefik's dynamic configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    traefik_exporter::fuzz::dynamic(text);
});
