//! Every metric that the program can give: `metrics.tsv`, which dashboards and rules are held against, and the table in README.md.

use std::collections::BTreeSet;

use exposition::{Desc, Kind};
use testkit::{Catalogue, catalogue};

use crate::{PROGRAM, access, files, passthrough, status, watch};

fn descs() -> impl Iterator<Item = &'static Desc> {
    status::descs()
        .chain(watch::DESCS)
        .chain(files::DESCS)
        .chain(passthrough::DESCS)
        .chain(access::DESCS)
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
    let mut all = Catalogue::default();
    all.add_descs(descs());
    all.add_families(&daemon::own_families(&PROGRAM, "traefik"));
    all.check("traefik-exporter");
}

#[test]
fn readme() {
    let head = "| metric | type | what it is |\n|---|---|---|\n";
    let table = format!("{head}{}", catalogue::rows(descs()));
    catalogue::check_readme("traefik-exporter", &table);
}
