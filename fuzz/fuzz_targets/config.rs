//! A configuration file: it is read, or one thing is said to be wrong with it.

#![no_main]

use alert_router::fuzz::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| config(text));
