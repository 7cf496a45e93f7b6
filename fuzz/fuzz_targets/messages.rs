//! The kernel's messages over netlink, EC2's answers, a driver's answers to ethtool, a volume's page: whatever they hold, none panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_exporter::fuzz::{driver, message, page};

fuzz_target!(|input: &[u8]| {
    message(input);
    driver(input);
    page(input);
});
