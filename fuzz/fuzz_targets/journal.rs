//! What alert-router kept on disk, whatever became of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    alert_router::fuzz::journal(bytes);
});
