//! What the files of nodes are made of, beside the configuration: certificates, secrets, programs, and files of the user's own.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::{entry::Entry, traefik};
use crate::{
    artifacts::Artifacts,
    desired::File,
    image_archive,
    network::{Network, Role},
    pki::Pki,
    planning,
    promtool::{self, Kind},
    secrets::Secrets,
};

/// Larger files are none of those that are meant.
const MAX_SIZE: u64 = 1 << 20;
const MAX_FILES: usize = 200;

pub(crate) struct Materials {
    pub(crate) pki: Pki,
    pub(crate) secrets: Secrets,
    pub(crate) artifacts: Artifacts,
    pub(crate) now: Timestamp,
    /// Files of rules_folder and scrape_folder, by their names.
    pub(super) rules: Vec<(String, Vec<u8>)>,
    pub(super) scrapes: Vec<(String, Vec<u8>)>,
    /// The authorities of each remote_write.
    pub(super) authorities: Vec<Option<Vec<u8>>>,
    /// Archives of images, and which image is in each.
    pub(super) images: Images,
    /// What the entry point shows to clients.
    pub(super) entry: Option<Entry>,
    /// How long Prometheus keeps samples.
    pub(super) retention: String,
}

/// Archives of images, with the ids of what is in them.
#[derive(Debug, Default)]
pub(super) struct Images {
    pub(super) ledger: Option<(PathBuf, String)>,
    pub(super) schema: Option<(PathBuf, String)>,
}

impl Materials {
    /// Reads or makes everything that an environment's nodes need.
    pub(crate) fn open(network: &Network, now: Timestamp) -> anyhow::Result<Self> {
        let artifacts = Artifacts::load(&network.folder, &network.config)?;
        Self::with(network, artifacts, now)
    }

    /// The same for who asks programs that were installed: nothing is made but what belongs to an environment that has begun, and programs
    /// need not be here.
    pub(crate) fn to_look(network: &Network, now: Timestamp) -> anyhow::Result<Self> {
        let folder = &network.folder;
        if !folder.join("pki/ca.crt").exists() {
            bail!(
                "{} has no pki/ca.crt: nothing was installed from there; if it was from elsewhere, bring pki and secrets here",
                folder.display()
            );
        }
        let artifacts = Artifacts::load_names(folder, &network.config)?;
        Self::with(network, artifacts, now)
    }

    pub(super) fn with(
        network: &Network,
        artifacts: Artifacts,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let config = &network.config;
        let folder = |key| match config.text(key) {
            Some(folder) => files(Path::new(folder)).with_context(|| format!("config.json: {key}")),
            None => Ok(Vec::new()),
        };
        let authorities = config
            .each("remote_write")
            .map(|it| match it.text("ca_file") {
                Some(path) => read(Path::new(path))
                    .map(Some)
                    .context("config.json: remote_write: ca_file"),
                None => Ok(None),
            });
        let archive = |key: &str| {
            let path = config.text(key).filter(|_| config.installs(Role::ScalarDl));
            let read = |path: &str| {
                let id = image_archive::id(Path::new(path));
                let id = id.with_context(|| format!("config.json: {key}"))?;
                anyhow::Ok((PathBuf::from(path), id))
            };
            path.map(read).transpose()
        };
        Ok(Self {
            images: Images {
                ledger: archive("scalar_image_archive")?,
                schema: archive("scalar_schema_image_archive")?,
            },
            entry: Entry::read(config)?,
            pki: Pki::open(&network.folder.join("pki"), now)?,
            secrets: Secrets::open(&network.folder.join("secrets"), config)?,
            artifacts,
            now,
            rules: folder("rules_folder")?,
            scrapes: folder("scrape_folder")?,
            authorities: authorities.collect::<Result<_, _>>()?,
            retention: match config.text("retention") {
                Some(given) => given.to_owned(),
                None => planning::level(config)?.retention,
            },
        })
    }
}

impl Materials {
    /// Whether what is about to be written to a node is fit for it. What is there already is not asked again: that it has ended since must not
    /// keep anybody from mending the rest.
    pub(crate) fn check_written(&self, files: &[&File]) -> anyhow::Result<()> {
        let is_shown = files.iter().any(|it| it.path == traefik::SHOWN);
        match self.entry.as_ref().filter(|_| is_shown) {
            Some(entry) => entry.check(self.now),
            None => Ok(()),
        }
    }

    /// Whether Prometheus takes what is the user's own.
    pub(crate) fn check_own(&self) -> anyhow::Result<()> {
        if self.rules.is_empty() && self.scrapes.is_empty() {
            return Ok(());
        }
        let prometheus = self.artifacts.resolve("prometheus")?;
        let check = |key, kind, files| {
            promtool::check(&prometheus, kind, files).with_context(|| format!("config.json: {key}"))
        };
        check("rules_folder", Kind::Rules, &self.rules)?;
        check("scrape_folder", Kind::Scrapes, &self.scrapes)
    }
}

/// The files `*.yml` of a folder, sorted by name.
fn files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(cannot)?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|it| it.map(|it| it.path())).collect();
    let mut paths = paths.with_context(cannot)?;
    paths.retain(|it| it.extension().is_some_and(|it| it == "yml"));
    if paths.len() > MAX_FILES {
        bail!("{} has more than {MAX_FILES} files", folder.display());
    }
    paths.sort();
    let each = |path: PathBuf| {
        let name = path.file_name().and_then(|it| it.to_str());
        let is_fine = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
        let name = name.filter(|it| it.bytes().all(is_fine));
        let name = name.with_context(|| {
            format!(
                "{}: its name has other characters than letters, digits, '.', '_' and '-'",
                path.display()
            )
        })?;
        Ok((name.to_owned(), read(&path)?))
    };
    paths.into_iter().map(each).collect()
}

/// A file that holds text.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not text", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    if fs::metadata(path).with_context(cannot)?.len() > MAX_SIZE {
        bail!("{} has more than 1 MiB", path.display());
    }
    fs::read(path).with_context(cannot)
}
