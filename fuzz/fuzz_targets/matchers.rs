//! Matchers: what is read is written so that it reads the same.

#![no_main]

use alert_router::fuzz::matchers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| matchers(text));
