//! The programs that are installed on nodes: ours beside this one, others' downloaded once and held to what was pinned.

mod download;
mod pins;
mod sources;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;

pub(crate) use self::download::{Downloads, sha256};
use self::{
    download::sha256_of,
    pins::{Pin, Pins},
    sources::{From, Source, sources},
};
use crate::{
    config::Config,
    desired::{Artifact, Form},
    output,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every program: its version, where it comes from, and whether it is pinned
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Download each program that is not pinned, check it, and write what it was to artifacts.lock
    Pin,
}

/// What an environment installs.
#[derive(Debug)]
pub(crate) struct Artifacts {
    /// The environment's folder.
    folder: PathBuf,
    sources: BTreeMap<String, Source>,
    pins: Pins,
    downloads: Downloads,
    /// What was looked at already: every node wants the same.
    found: Mutex<BTreeMap<String, Artifact>>,
    /// Whether versions are enough, and no file is looked at or downloaded.
    names_alone: bool,
}

/// How sure it is that a program is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A file of this machine.
    File,
    Missing,
    Pinned,
    NotPinned,
}

/// Runs `provisioner artifacts`.
pub(crate) fn run(folder: &Path, command: &Command) -> anyhow::Result<ExitCode> {
    let config = Config::load_environment(folder)?;
    let mut artifacts = Artifacts::load(folder, &config)?;
    match command {
        Command::List { json } => {
            artifacts.list(*json)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Pin => artifacts.pin(),
    }
}

impl Artifacts {
    /// Reads what is named and what is pinned.
    pub(crate) fn load(folder: &Path, config: &Config) -> anyhow::Result<Self> {
        let own = crate::own_path()?;
        let beside = own.parent().unwrap_or(Path::new("/"));
        let downloads = Downloads::new(parts::cache().join("artifacts"));
        Self::of(folder, config, beside, downloads)
    }

    /// The same for who installs nothing: programs are known by name and version, and need not be here.
    pub(crate) fn load_names(folder: &Path, config: &Config) -> anyhow::Result<Self> {
        let mut artifacts = Self::load(folder, config)?;
        artifacts.names_alone = true;
        Ok(artifacts)
    }

    /// The same, with the folder of our own programs.
    pub(crate) fn of(
        folder: &Path,
        config: &Config,
        beside: &Path,
        downloads: Downloads,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            sources: sources(config, beside)?,
            pins: Pins::load(folder)?,
            downloads,
            found: Mutex::new(BTreeMap::new()),
            names_alone: false,
        })
    }

    /// A program, downloaded when it is not here yet. Not to be called within a runtime: it waits.
    pub(crate) fn resolve(&self, name: &str) -> anyhow::Result<Artifact> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(artifact) = found.get(name) {
            return Ok(artifact.clone());
        }
        let source = self.sources.get(name);
        let source = source.with_context(|| format!("there is no artifact {name}"))?;
        let (path, sha256) = match &source.from {
            _ if self.names_alone => (PathBuf::new(), String::new()),
            From::File(path) => {
                let sha256 = sha256_of(path).with_context(|| self.missing(name, path))?;
                if let Some(expect) = source.sha256.as_ref().filter(|it| **it != sha256) {
                    bail!(
                        "{} has the sha256 {sha256}, and {name} should have {expect}",
                        path.display()
                    );
                }
                (path.clone(), sha256)
            }
            From::Url(url) => {
                let pin = self.pins.of(name, source, url).with_context(|| {
                    format!(
                        "{name} {} is not pinned: what {url} gives could be anything. Run: provisioner -e {} artifacts pin",
                        source.version,
                        self.folder.display()
                    )
                })?;
                let path = self.downloads.pinned(url, &pin.sha256)?;
                (path, pin.sha256.clone())
            }
        };
        let artifact = Artifact {
            name: name.to_owned(),
            version: source.version.clone(),
            sha256,
            form: form(name, &path),
            source: path,
        };
        found.insert(name.to_owned(), artifact.clone());
        Ok(artifact)
    }

    fn missing(&self, name: &str, path: &Path) -> String {
        match self.sources.get(name).is_some_and(|it| it.is_beside) {
            true => format!(
                "{name} is not beside this program, as {}: put it there, or name it in config.json: \"artifacts\": {{\"{name}\": {{\"path\": …}}}}",
                path.display()
            ),
            false => format!("cannot read {name}, {}", path.display()),
        }
    }

    fn state(&self, name: &str, source: &Source) -> (State, Option<String>) {
        match &source.from {
            From::File(path) => match sha256_of(path) {
                Ok(sha256) => (State::File, Some(sha256)),
                Err(_) => (State::Missing, None),
            },
            From::Url(url) => match self.pins.of(name, source, url) {
                Some(pin) => (State::Pinned, Some(pin.sha256.clone())),
                None => (State::NotPinned, source.sha256.clone()),
            },
        }
    }

    fn list(&self, as_json: bool) -> anyhow::Result<()> {
        let mut rows = vec![
            ["name", "version", "state", "sha256", "source"]
                .map(str::to_owned)
                .to_vec(),
        ];
        let mut all = Vec::new();
        for (name, source) in &self.sources {
            let (state, sha256) = self.state(name, source);
            all.push(json!({
                "name": name,
                "version": source.version,
                "state": state.words(),
                "sha256": sha256,
                "source": source.from.to_string(),
            }));
            let sha256 = sha256.unwrap_or_else(|| "-".to_owned());
            rows.push(vec![
                name.clone(),
                source.version.clone(),
                state.words().to_owned(),
                sha256,
                source.from.to_string(),
            ]);
        }
        if as_json {
            output::say(serde_json::to_string_pretty(&all)?);
        } else {
            output::table(&rows);
        }
        Ok(())
    }

    /// Pins what is not; what cannot be keeps nothing else from it.
    fn pin(&mut self) -> anyhow::Result<ExitCode> {
        let mut pins = Vec::new();
        let mut code = ExitCode::SUCCESS;
        for (name, source) in &self.sources {
            let From::Url(url) = &source.from else {
                continue;
            };
            if let Some(pin) = self.pins.of(name, source, url) {
                output::say(format!("{name} {}: is pinned", source.version));
                pins.push(pin.clone());
                continue;
            }
            match self.checked(source, url) {
                Ok((sha256, by)) => {
                    output::say(format!("{name} {}: {sha256}, {by}", source.version));
                    pins.push(Pin {
                        name: name.clone(),
                        version: source.version.clone(),
                        url: url.clone(),
                        sha256,
                    });
                }
                Err(error) => {
                    output::complain(&error.context(format!("cannot pin {name}")));
                    code = ExitCode::FAILURE;
                }
            }
        }
        self.pins = Pins::write(&self.folder, pins)?;
        Ok(code)
    }

    /// Downloads a file: its sha256, and who says that this is the right one.
    fn checked(&self, source: &Source, url: &str) -> anyhow::Result<(String, String)> {
        let (expect, by) = match (&source.sha256, &source.checksums) {
            (Some(expect), _) => (Some(expect.clone()), "as we know it".to_owned()),
            (None, Some(checksums)) => {
                let expect = self.downloads.checksum(checksums, url)?;
                (Some(expect), format!("as {checksums} says"))
            }
            (None, None) => (
                None,
                "as it was downloaded: nobody says what it should be".to_owned(),
            ),
        };
        let sha256 = match expect {
            Some(expect) => {
                self.downloads.pinned(url, &expect)?;
                expect
            }
            None => self.downloads.unknown(url)?,
        };
        Ok((sha256, by))
    }
}

impl State {
    const fn words(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Missing => "missing",
            Self::Pinned => "pinned",
            Self::NotPinned => "not pinned",
        }
    }
}

/// Archives without a folder around everything.
const FLAT: &[&str] = &["traefik"];

fn form(artifact: &str, path: &Path) -> Form {
    let name = path.file_name().and_then(|it| it.to_str());
    let ends = |end| name.is_some_and(|it| it.ends_with(end));
    let is_archive = ends(".tar.gz") || ends(".tgz");
    if is_archive && FLAT.contains(&artifact) {
        Form::Flat
    } else if is_archive {
        Form::Archive
    } else {
        Form::Program
    }
}

/// Whether a text is a SHA-256 as we write it.
fn is_sha256(text: &str) -> bool {
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    text.len() == 64 && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests;
