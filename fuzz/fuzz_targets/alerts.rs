//! A body of alerts: it is read, or refused.

#![no_main]

use alert_router::fuzz::body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| body(bytes));
