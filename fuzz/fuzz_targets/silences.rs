//! The file in which Alertmanager keeps silences.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    alert_router::fuzz::silences(bytes);
});
