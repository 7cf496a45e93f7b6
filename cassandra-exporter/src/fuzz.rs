//! What the fuzz targets call: the parsers of what a node answers.

use crate::{
    jolokia::response::{self, Want},
    object_name::{ObjectName, endpoint},
    ring,
};

/// An answer of Jolokia, read in every way.
pub fn answer(text: &[u8]) {
    const ATTRIBUTES: &[&str] = &["Count", "99thPercentile"];
    let wants = [
        Want::Numbers(ATTRIBUTES),
        Want::Numbers(&["Value"]),
        Want::Counts,
        Want::Map,
        Want::Names,
        Want::Tree,
    ];
    let want = |at: usize| wants.get(at % wants.len()).copied().unwrap_or(Want::Tree);
    drop(response::read(text, 12, want, |_, _, _| {}));
}

/// A name of a bean, and what gossip knows.
pub fn names(text: &str) {
    if let Some(name) = ObjectName::parse(text) {
        assert_eq!(name.text(), text);
        for key in name.keys() {
            assert!(name.get(key).is_some());
        }
    }
    endpoint(text);
    ring::parse_told(text);
}
