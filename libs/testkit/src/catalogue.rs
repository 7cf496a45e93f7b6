//! `metrics.tsv` of a program: a line for each metric that it can give, which dashboards and rules are held against. And the table of
//! metrics in its README.md.

use std::collections::BTreeMap;

use exposition::{Desc, Family, Kind};

use crate::{golden, root};

/// What a program can give, by name.
#[derive(Debug, Default)]
pub struct Catalogue(BTreeMap<String, String>);

impl Catalogue {
    /// Adds a metric; one that is there already stays as it is. True when it is new.
    pub fn add(&mut self, name: &str, kind: Kind, labels: &[&str], help: &str) -> bool {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        let line = format!("{kind}\t{}\t{help}", labels.join(","));
        let is_new = !self.0.contains_key(name);
        self.0.entry(name.to_owned()).or_insert(line);
        is_new
    }

    /// Adds those that are described.
    ///
    /// # Panics
    /// When one of the name is there already.
    pub fn add_descs<'a>(&mut self, descs: impl IntoIterator<Item = &'a Desc>) {
        for desc in descs {
            let is_new = self.add(desc.name, desc.kind, desc.labels, desc.help);
            assert!(is_new, "{} is there twice", desc.name);
        }
    }

    /// Adds those that were given, with the labels of their first metric.
    pub fn add_families<'a>(&mut self, families: impl IntoIterator<Item = &'a Family>) {
        for family in families {
            let first = family.metrics.first().map(|it| it.labels.iter());
            let labels: Vec<_> = first.into_iter().flatten().map(|it| it.0).collect();
            self.add(family.name(), family.kind(), &labels, family.help());
        }
    }

    /// Compares with the program's golden file.
    ///
    /// # Panics
    /// When they differ.
    pub fn check(&self, program: &str) {
        let lines = self
            .0
            .iter()
            .map(|(name, line)| format!("{name}\t{line}\n"));
        golden::check(format!("{program}/metrics.tsv"), &lines.collect::<String>());
    }
}

/// Rows of a table of metrics.
pub fn rows<'a>(descs: impl IntoIterator<Item = &'a Desc>) -> String {
    let row = |desc: &Desc| {
        let labels = match desc.labels {
            [] => String::new(),
            some => format!("{{{}}}", some.join(",")),
        };
        format!(
            "| `{}{labels}` | {} | {} |\n",
            desc.name, desc.kind, desc.help
        )
    };
    descs.into_iter().map(row).collect()
}

/// The part of README.md between these lines is written by tests.
const BEGIN: &str = "<!-- begin of the table, written by src/catalogue.rs -->\n";
const END: &str = "<!-- end of the table -->\n";

/// Compares with the table in the program's README.md.
///
/// # Panics
/// When they differ, or there is none.
pub fn check_readme(program: &str, table: &str) {
    let path = format!("{program}/README.md");
    let text = std::fs::read_to_string(root().join(&path)).expect("it has a README.md");
    let (before, rest) = text.split_once(BEGIN).expect("it has a table");
    let (_, after) = rest.split_once(END).expect("the table ends");
    golden::check(path, &format!("{before}{BEGIN}{table}{END}{after}"));
}
