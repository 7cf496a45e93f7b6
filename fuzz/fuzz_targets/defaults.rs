//! Filters' defaults: the code and the expression that it stands for agree on every name.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use node_exporter::fuzz::defaults;

type Defaults = Vec<(regex::Regex, fn(&str) -> bool)>;
static ALL: OnceLock<Defaults> = OnceLock::new();

fuzz_target!(|name: &str| {
    // Where "." and "any character" differ; names of /proc have none (mountinfo has \012 for it).
    if name.contains('\n') {
        return;
    }
    for (expression, matches) in ALL.get_or_init(defaults) {
        assert_eq!(matches(name), expression.is_match(name), "{expression}");
    }
});
