//! Where each program comes from: `data/artifacts.toml`, this program's own folder, and `artifacts` of config.json, which comes before both.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::is_sha256;
use crate::config::{Config, Object, near};

/// Our own programs that run on nodes.
pub(super) const OURS: &[&str] = &[
    "alert-router",
    "cassandra-exporter",
    "node-exporter",
    "traefik-exporter",
];
/// Others'.
pub(super) const OTHERS: &str = include_str!("../../data/artifacts.toml");

/// One of `data/artifacts.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    pub(super) version: String,
    pub(super) url: Option<String>,
    /// Its name beside this program, when it is not downloaded.
    pub(super) file: Option<String>,
    checksums: Option<String>,
    #[serde(default)]
    pub(super) sha256: BTreeMap<String, String>,
}

/// Where a program comes from, and what is known of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) version: String,
    pub(super) from: From,
    /// What it must be.
    pub(super) sha256: Option<String>,
    /// Where its publisher says what it must be.
    pub(super) checksums: Option<String>,
    /// Whether it is taken from beside this program.
    pub(super) is_beside: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum From {
    File(PathBuf),
    Url(String),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// Everything that can be installed.
pub(super) fn sources(config: &Config, beside: &Path) -> anyhow::Result<BTreeMap<String, Source>> {
    let mut others: BTreeMap<String, Known> =
        toml::from_str(OTHERS).context("data/artifacts.toml")?;
    let mut given: BTreeMap<&str, Object<'_>> = config.named("artifacts").collect();
    let mut sources = BTreeMap::new();
    for name in OURS {
        let ours = Source {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            from: From::File(beside.join(name)),
            sha256: None,
            checksums: None,
            is_beside: true,
        };
        let source = match given.remove(name) {
            Some(given) => replaced(name, given, ours)?,
            None => ours,
        };
        sources.insert((*name).to_owned(), source);
    }
    while let Some((name, known)) = others.pop_first() {
        let source = match given.remove(name.as_str()) {
            Some(given) => replaced(&name, given, known.version(given.text("version"), beside))?,
            None => known.version(None, beside),
        };
        sources.insert(name, source);
    }
    if let Some(name) = given.into_keys().next() {
        let known = sources.keys().map(String::as_str);
        let meant = near(name, known.clone());
        let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
        let known: Vec<_> = known.collect();
        bail!(
            "config.json: artifacts: {name:?} is none of {}{meant}",
            known.join(", ")
        );
    }
    Ok(sources)
}

impl Known {
    /// The usual version, or another one of the same publisher's.
    fn version(&self, other: Option<&str>, beside: &Path) -> Source {
        let version = other.unwrap_or(&self.version);
        // Some publishers have another form of it in names of files: 17.0.1+2 is 17.0.1_2 there.
        let plain = version.replace('+', "_");
        let filled = |text: &String| {
            text.replace("{version}", version)
                .replace("{plain_version}", &plain)
        };
        Source {
            version: version.to_owned(),
            from: match (&self.url, &self.file) {
                (Some(url), _) => From::Url(filled(url)),
                (None, Some(file)) => From::File(beside.join(filled(file))),
                (None, None) => From::File(beside.to_owned()),
            },
            sha256: self.sha256.get(version).cloned(),
            checksums: self.checksums.as_ref().map(filled),
            is_beside: self.url.is_none(),
        }
    }
}

/// What config.json says in place of what we say.
fn replaced(name: &str, given: Object<'_>, known: Source) -> anyhow::Result<Source> {
    let at = |problem: String| format!("config.json: artifacts.{name}: {problem}");
    let is_version = |it: u8| it.is_ascii_alphanumeric() || b"._+~-".contains(&it);
    let version = given.text("version");
    // It becomes a part of the name of a folder.
    if let Some(wrong) = version.filter(|it| it.len() > 64 || !it.bytes().all(is_version)) {
        bail!(at(format!("{wrong:?} is no version")));
    }
    let sha256 = given.text("sha256").map(str::to_ascii_lowercase);
    if let Some(wrong) = sha256.as_ref().filter(|it| !is_sha256(it)) {
        bail!(at(format!("{wrong:?} is no sha256: 64 hexadecimal digits")));
    }
    let other = match (given.text("path"), given.text("url")) {
        (Some(_), Some(_)) => bail!(at("a path and a url: give one of them".to_owned())),
        (Some(path), None) => Some(From::File(PathBuf::from(path))),
        (None, Some(url)) => Some(From::Url(url.to_owned())),
        (None, None) => None,
    };
    Ok(match other {
        // What we know of our file says nothing of theirs.
        Some(from) => Source {
            version: version.unwrap_or("custom").to_owned(),
            from,
            sha256,
            checksums: None,
            is_beside: false,
        },
        None => Source {
            version: version.map_or(known.version, str::to_owned),
            sha256: sha256.or(known.sha256),
            ..known
        },
    })
}
