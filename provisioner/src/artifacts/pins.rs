//! `artifacts.lock`: what the programs were when they were pinned. Whoever has the environment installs the same.

use std::{fs, io, path::Path};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{is_sha256, sources::Source};
use crate::private;

const FILE: &str = "artifacts.lock";
/// A larger file is none of ours.
const MAX_SIZE: u64 = 1 << 20;

/// Sorted by name.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pins {
    #[serde(default)]
    artifact: Vec<Pin>,
}

/// What a program was.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) url: String,
    pub(super) sha256: String,
}

impl Pins {
    /// Those of an environment; none when nothing was pinned.
    pub(super) fn load(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let cannot = || format!("cannot read {}", path.display());
        match fs::metadata(&path) {
            Ok(meta) if meta.len() > MAX_SIZE => bail!("{} has more than 1 MiB", path.display()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(cannot),
        }
        let text = fs::read_to_string(&path).with_context(cannot)?;
        let pins: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        if let Some(wrong) = pins.artifact.iter().find(|it| !is_sha256(&it.sha256)) {
            bail!(
                "{}: the sha256 of {} is none: {:?}",
                path.display(),
                wrong.name,
                wrong.sha256
            );
        }
        Ok(pins)
    }

    /// Writes an environment's.
    pub(super) fn write(folder: &Path, pins: Vec<Pin>) -> anyhow::Result<Self> {
        let mut text = "# Written by `provisioner artifacts pin`: what was downloaded, and is installed. Keep it with config.json.\n".to_owned();
        // The strings of JSON are strings of TOML.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        for pin in &pins {
            text.push_str(&format!(
                "\n[[artifact]]\nname = {}\nversion = {}\nurl = {}\nsha256 = {}\n",
                quoted(&pin.name),
                quoted(&pin.version),
                quoted(&pin.url),
                quoted(&pin.sha256)
            ));
        }
        private::write(&folder.join(FILE), &text)?;
        Ok(Self { artifact: pins })
    }

    /// That of a program, when it was pinned as it is named.
    pub(super) fn of(&self, name: &str, source: &Source, url: &str) -> Option<&Pin> {
        let is_it = |it: &&Pin| {
            it.name == name
                && it.version == source.version
                && it.url == url
                && source.sha256.as_ref().is_none_or(|sha| *sha == it.sha256)
        };
        self.artifact.iter().find(is_it)
    }
}
