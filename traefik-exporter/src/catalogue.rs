//! Every metric that the program can give: `metrics.tsv`, which dashboards and rules are held against, and the table in README.md.

use std::collections::{BTreeMap, BTreeSet};

use exposition::{Desc, Family, Kind};

use crate::{PROGRAM, access, files, passthrough, probe, status, watch};

fn descs() -> impl Iterator<Item = &'static Desc> {
    status::descs()
        .chain(watch::DESCS)
        .chain(files::DESCS)
        .chain(passthrough::DESCS)
        .chain(access::DESCS)
        .chain(probe::DESCS)
}

#[test]
fn names_agree() {
    let mut seen = BTreeSet::new();
    for desc in descs() {
        assert!(seen.insert(desc.name), "{} is there twice", desc.name);
        assert!(desc.help.ends_with('.'), "{}", desc.name);
        let is_counter = desc.kind == Kind::Counter;
        assert_eq!(is_counter, desc.name.ends_with("_total"), "{}", desc.name);
        let is_info = desc.help.contains("; always 1.");
        let is_status = desc.name.ends_with("_status");
        assert_eq!(
            is_info,
            desc.name.ends_with("_info") || is_status,
            "{}",
            desc.name
        );
    }
}

#[test]
fn metrics_tsv() {
    let mut lines = BTreeMap::new();
    for desc in descs() {
        let mut labels = desc.labels.to_vec();
        labels.sort_unstable();
        let line = format!("{}\t{}\t{}", desc.kind, labels.join(","), desc.help);
        lines.insert(desc.name.to_owned(), line);
    }
    let mut add = |family: &Family| {
        let labels = family.metrics.first().map_or_else(Vec::new, |it| {
            it.labels.iter().map(|(name, _)| name.to_owned()).collect()
        });
        let line = format!("{}\t{}\t{}", family.kind(), labels.join(","), family.help());
        lines.entry(family.name().to_owned()).or_insert(line);
    };
    daemon::own_families(&PROGRAM).iter().for_each(&mut add);
    for (name, help) in [
        ("duration_seconds", "Duration of a collector scrape."),
        ("success", "Whether a collector succeeded."),
    ] {
        let name = format!("traefik_scrape_collector_{name}");
        lines.insert(name, format!("gauge\tcollector\ttraefik_exporter: {help}"));
    }
    let lines = lines.iter().map(|(name, line)| format!("{name}\t{line}\n"));
    testkit::golden::check("traefik-exporter/metrics.tsv", &lines.collect::<String>());
}

/// The part of README.md between these lines is written by this test.
const BEGIN: &str = "<!-- begin of the table, written by src/catalogue.rs -->\n";
const END: &str = "<!-- end of the table -->\n";

#[test]
fn readme() {
    let path = "traefik-exporter/README.md";
    let text = std::fs::read_to_string(testkit::root().join(path)).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = String::from("| metric | type | what it is |\n|---|---|---|\n");
    for desc in descs() {
        let labels = match desc.labels {
            [] => String::new(),
            some => format!("{{{}}}", some.join(",")),
        };
        table.push_str(&format!(
            "| `{}{labels}` | {} | {} |\n",
            desc.name, desc.kind, desc.help
        ));
    }
    testkit::golden::check(path, &format!("{before}{BEGIN}{table}{END}{after}"));
}
