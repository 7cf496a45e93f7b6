//! Every metric that the program can give: `metrics.tsv`, which dashboards and rules are held against, and the table in README.md.

use std::collections::BTreeMap;

use exposition::{Desc, Kind};
use testkit::{Catalogue, catalogue};

use crate::{
    PROGRAM, activity, jvm,
    metrics::{GROUPS, Name, Profile, Row, Scope, Source, TABLE},
    ring, scrape,
};

/// A family that the tables can give.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Described {
    name: String,
    kind: Kind,
    labels: Vec<&'static str>,
    help: &'static str,
}

/// What stands in `name` for the rest of a bean's name.
fn pattern(name: Name) -> String {
    match name {
        Name::Is(name) => name.to_owned(),
        Name::Starts(start, label) => format!("{start}<{label}>"),
        Name::Ends(end, label) => format!("<{label}>{end}"),
    }
}

/// Labels of a row besides those of its group.
fn own_labels(row: &Row) -> Vec<&'static str> {
    let mut labels = Vec::new();
    if let Name::Starts(_, label) | Name::Ends(_, label) = row.name {
        labels.push(label);
    }
    if let Source::Map(label) = row.source {
        labels.push(label);
    }
    labels.extend(row.fixed.map(|it| it.0));
    labels
}

/// Every family of the tables; some more than once.
fn described() -> Vec<Described> {
    let mut all = Vec::new();
    for scope in Scope::ALL {
        for row in TABLE {
            let mut labels = scope.labels().to_vec();
            labels.extend(own_labels(row));
            labels.sort_unstable();
            all.push(Described {
                name: format!("{}{}", scope.prefix(), row.metric),
                kind: row.kind,
                labels,
                help: row.help,
            });
        }
    }
    for group in GROUPS {
        for row in group.rows {
            let mut labels = group.names.to_vec();
            labels.extend(own_labels(row));
            labels.sort_unstable();
            all.push(Described {
                name: format!("{}{}", group.prefix, row.metric),
                kind: row.kind,
                labels,
                help: row.help,
            });
        }
    }
    all
}

/// What is not of Cassandra's metrics.
fn others() -> impl Iterator<Item = &'static Desc> {
    [ring::DESCS, activity::DESCS, jvm::DESCS, scrape::DESCS]
        .into_iter()
        .flatten()
}

/// One name has one type, one help text and one set of labels.
#[test]
fn families_agree() {
    let mut seen = BTreeMap::new();
    for one in described() {
        assert!(exposition::is_metric_name(&one.name), "{}", one.name);
        let is_counter = one.kind == Kind::Counter;
        assert_eq!(is_counter, one.name.ends_with("_total"), "{}", one.name);
        assert!(one.help.ends_with('.'), "{}", one.name);
        let what = (one.kind, one.labels, one.help);
        let first = seen.entry(one.name.clone()).or_insert_with(|| what.clone());
        assert_eq!(*first, what, "{}", one.name);
    }
    for desc in others() {
        assert!(!seen.contains_key(desc.name), "{}", desc.name);
        let is_counter = desc.kind == Kind::Counter;
        assert_eq!(is_counter, desc.name.ends_with("_total"), "{}", desc.name);
    }
}

#[test]
fn metrics_tsv() {
    let mut all = Catalogue::default();
    for one in described() {
        all.add(&one.name, one.kind, &one.labels, one.help);
    }
    all.add_descs(others());
    all.add_families(&daemon::own_families(&PROGRAM, "cassandra"));
    all.check("cassandra-exporter");
}

#[test]
fn readme() {
    catalogue::check_readme("cassandra-exporter", &table());
}

const fn word(profile: Profile) -> &'static str {
    match profile {
        Profile::Minimal => "minimal",
        Profile::Standard => "standard",
        Profile::Full => "full",
    }
}

/// Metrics of tables have a line for all of their scopes.
fn table() -> String {
    let mut out = String::from(
        "Of tables, keyspaces (`type=Keyspace`) and the node's sums (`type=Table` without a keyspace); ‹scope› is `table`, `keyspace` or \
         `node`. Of the node and of keyspaces they are read from `minimal` and `standard` on.\n\n\
         | Cassandra: `type=Table` | ours: `cassandra_‹scope›_…` | type | of tables from |\n|---|---|---|---|\n",
    );
    for row in TABLE {
        let fixed = row
            .fixed
            .map(|(label, value)| format!("{{{label}=\"{value}\"}}"));
        let total = row.total.map(|it| format!(", {it}"));
        out.push_str(&format!(
            "| {}{} | `{}{}` | {} | {} |\n",
            pattern(row.name),
            total.unwrap_or_default(),
            row.metric,
            fixed.unwrap_or_default(),
            row.kind,
            word(Scope::Table.profile(row)),
        ));
    }
    out.push_str("\n| Cassandra: `type` and `name` | ours | type | from |\n|---|---|---|---|\n");
    for group in GROUPS {
        for row in group.rows {
            let mut labels: Vec<_> = group.names.iter().map(|it| (*it).to_owned()).collect();
            labels.extend(own_labels(row).into_iter().map(|own| match row.fixed {
                Some((label, value)) if label == own => format!("{label}=\"{value}\""),
                _ => own.to_owned(),
            }));
            let labels = match labels.as_slice() {
                [] => String::new(),
                some => format!("{{{}}}", some.join(",")),
            };
            let total = row.total.map(|it| format!(", {it}"));
            out.push_str(&format!(
                "| {} {}{} | `{}{}{labels}` | {} | {} |\n",
                group.bean,
                pattern(row.name),
                total.unwrap_or_default(),
                group.prefix,
                row.metric,
                row.kind,
                word(row.profile),
            ));
        }
    }
    out.push_str(
        "\n| beyond Cassandra's metrics, in every profile | type | what it is |\n|---|---|---|\n",
    );
    out.push_str(&catalogue::rows(others()));
    out.push('\n');
    out
}
