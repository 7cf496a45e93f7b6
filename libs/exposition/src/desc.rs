//! What a program says about a metric once, next to the code that fills it.

use crate::{Kind, is_label_name, is_metric_name};

/// A metric's name, type, labels and help. Made in constants, where a wrong name stops the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desc {
    /// The name as Prometheus stores it; base unit and `_total` included.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// One sentence for people.
    pub help: &'static str,
    /// The names of the labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

impl Desc {
    /// A metric without labels.
    ///
    /// # Panics
    /// When `name` is no metric name, or `help` is empty: in a constant this is an error of the build.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        assert!(is_metric_name(name), "not a metric name");
        assert!(!help.is_empty(), "a metric needs a help text");
        Self {
            name,
            kind,
            help,
            labels: &[],
        }
    }

    /// The same metric with these labels.
    ///
    /// # Panics
    /// When a label has a wrong or doubled name: in a constant this is an error of the build.
    #[must_use]
    pub const fn labels(mut self, labels: &'static [&'static str]) -> Self {
        let mut at = 0;
        while at < labels.len() {
            assert!(is_label_name(labels[at]), "not a label name");
            let mut other = 0;
            while other < at {
                assert!(!same(labels[at], labels[other]), "a label is named twice");
                other += 1;
            }
            at += 1;
        }
        self.labels = labels;
        self
    }
}

/// `==` on `str` is not const.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::Desc;
    use crate::Kind;

    const GOOD: Desc =
        Desc::new("node_cpu_seconds_total", Kind::Counter, "Time.").labels(&["cpu", "mode"]);

    #[test]
    fn wrong_names_do_not_pass() {
        assert_eq!(GOOD.labels, ["cpu", "mode"]);
        for bad in [
            || Desc::new("a-b", Kind::Gauge, "help"),
            || Desc::new("ab", Kind::Gauge, ""),
            || Desc::new("ab", Kind::Gauge, "help").labels(&["a:b"]),
            || Desc::new("ab", Kind::Gauge, "help").labels(&["a", "b", "a"]),
        ] {
            assert!(std::panic::catch_unwind(bad).is_err());
        }
    }
}
