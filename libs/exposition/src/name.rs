//! Which names a metric and a label may have, and the error for those that may not.

/// A name that the text formats cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not of `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    #[error("{0:?} is no metric name: it must match [a-zA-Z_:][a-zA-Z0-9_:]*")]
    Metric(String),
    /// Not of `[a-zA-Z_][a-zA-Z0-9_]*`.
    #[error("{0:?} is no label name: it must match [a-zA-Z_][a-zA-Z0-9_]*")]
    Label(String),
    /// The same label twice in one set.
    #[error("label {0:?} is given twice")]
    DuplicateLabel(String),
}

/// Whether `name` matches `[a-zA-Z_:][a-zA-Z0-9_:]*` (text format 0.0.4, "Comments, help text, and type information").
#[must_use]
pub const fn is_metric_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let letter = byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
        if !(letter || at > 0 && byte.is_ascii_digit()) {
            return false;
        }
        at += 1;
    }
    at > 0
}

/// Whether `name` matches `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub const fn is_label_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let letter = byte.is_ascii_alphabetic() || byte == b'_';
        if !(letter || at > 0 && byte.is_ascii_digit()) {
            return false;
        }
        at += 1;
    }
    at > 0
}

#[cfg(test)]
mod tests {
    use super::{is_label_name, is_metric_name};

    #[test]
    fn names() {
        for (name, metric, label) in [
            ("a", true, true),
            ("_a9", true, true),
            ("a:b", true, false),
            ("9a", false, false),
            ("", false, false),
            ("a-b", false, false),
            ("a b", false, false),
            ("é", false, false),
            ("a\n", false, false),
        ] {
            assert_eq!(is_metric_name(name), metric, "metric {name:?}");
            assert_eq!(is_label_name(name), label, "label {name:?}");
        }
    }
}
