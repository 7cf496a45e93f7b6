//! What the repository promises about itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use testkit::root;

/// Files below the root, but for what is built and hidden folders.
fn files(wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().unwrap();
            if name == "target" || name.starts_with('.') && name != ".ci" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn with_extension(extension: &'static str) -> Vec<PathBuf> {
    files(move |path| path.extension().is_some_and(|it| it == extension))
}

/// A reader who opens any file learns in its first line what it is for.
#[test]
fn every_module_says_what_it_is() {
    for path in with_extension("rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "no `//!` on the first line: {}",
            path.display()
        );
    }
}

/// `foo.rs` and `foo/`, so that an editor's tabs have names; and no drawer for odds and ends.
#[test]
fn names_of_modules() {
    for path in with_extension("rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["mod", "utils", "util", "common", "helpers", "types", "misc"].contains(&name),
            "{}",
            path.display()
        );
    }
}

/// One table of lints and one of dependencies: the root manifest's.
#[test]
fn every_package_inherits() {
    for path in files(|it| it.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(&path).unwrap();
        // The root, and the fuzz targets, which are a workspace of their own.
        if text.contains("[workspace]") {
            continue;
        }
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "no lints: {}",
            path.display()
        );
        assert!(
            !text.contains("version = \""),
            "a version outside the root: {}",
            path.display()
        );
    }
}

/// Which of ours a package may use. What is not here uses none.
#[test]
fn allowed_arrows() {
    let ours = [
        "alert-router",
        "bench",
        "cassandra-exporter",
        "client",
        "daemon",
        "dashboards",
        "exposition",
        "node-exporter",
        "parts",
        "provisioner",
        "testkit",
        "traefik-exporter",
    ];
    let allowed: BTreeMap<&str, &[&str]> = [
        ("daemon", &["exposition"][..]),
        ("testkit", &["exposition"]),
        ("node-exporter", &["daemon", "exposition"]),
        ("cassandra-exporter", &["client", "daemon", "exposition"]),
        ("traefik-exporter", &["client", "daemon", "exposition"]),
        ("alert-router", &["client", "daemon"]),
        ("provisioner", &["client", "daemon", "dashboards", "parts"]),
        ("bench", &["parts"]),
    ]
    .into();
    for path in files(|it| it.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("[workspace]") {
            continue;
        }
        let package = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        assert!(
            text.contains(&format!("name = \"{package}\"")),
            "folder and package differ: {}",
            path.display()
        );
        let dependencies = text
            .split("[dependencies]")
            .nth(1)
            .unwrap_or("")
            .split("\n[")
            .next()
            .unwrap();
        let used: Vec<_> = ours
            .iter()
            .filter(|it| dependencies.contains(&format!("\n{it}.workspace")))
            .collect();
        let may = allowed.get(package).copied().unwrap_or(&[]);
        for it in used {
            assert!(may.contains(it), "{package} must not use {it}");
        }
    }
}

/// The core of alert-router knows no clock and no network, and receivers do not see it but for what they are given.
#[test]
fn the_core_is_pure() {
    let folder = root().join("alert-router/src");
    let core = files(|it| it.starts_with(folder.join("core")) || it == folder.join("core.rs"));
    assert!(core.len() >= 5);
    for path in core {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for word in [
            "tokio",
            "hyper",
            "std::net",
            "std::fs",
            "Timestamp::now",
            "Instant",
            "reqwest",
            "client::",
        ] {
            assert!(!text.contains(word), "{} knows {word}", path.display());
        }
    }
}

/// The project speaks of itself alone, and of no machine in particular.
#[test]
fn no_paths_of_one_machine() {
    for path in files(|it| {
        it.extension().is_some_and(|it| {
            ["rs", "md", "toml", "sh", "yml", "json", "py"]
                .iter()
                .any(|wanted| it == *wanted)
        })
    }) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for word in ["/root/", "/home/runner", "/tmp/st"] {
            let here = path.ends_with("tidy.rs");
            assert!(
                here || !text.contains(word),
                "{} has {word}",
                path.display()
            );
        }
    }
}

/// Links between our documents lead somewhere.
#[test]
fn links_of_documents() {
    for path in with_extension("md") {
        let text = fs::read_to_string(&path).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|it| it.split(')').next())
        {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            assert!(
                path.parent().unwrap().join(file).exists(),
                "{} links to {file}",
                path.display()
            );
        }
    }
}
