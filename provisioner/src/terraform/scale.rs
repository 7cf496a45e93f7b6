//! `provisioner scale`: another number of machines in `config.json`, whose form stays as it is, and then a plan and its apply.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};

use super::{Consent, Wanted, after, make, say_machines};
use crate::{
    config::{self, set_number},
    install,
    lock::Lock,
    network::Network,
    private,
};

/// What can be scaled, and by which key.
const KEYS: &[(&str, &str)] = &[
    ("scalar", "scalar_autoscaling_group_desire"),
    ("scalardl", "scalar_autoscaling_group_desire"),
    ("traefik", "traefik_instance_count"),
];

/// `provisioner scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct ScaleFlags {
    /// What: scalar (or scalardl), traefik
    what: String,
    /// How many
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    #[command(flatten)]
    consent: Consent,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Leave the nodes alone afterwards
    #[arg(long)]
    no_install: bool,
}

/// Writes the number and makes it so. When that is refused before anything was done, the number is what it was.
pub(crate) fn scale(folder: &Path, flags: &ScaleFlags) -> anyhow::Result<ExitCode> {
    let Some((_, key)) = KEYS.iter().find(|it| it.0 == flags.what) else {
        bail!(
            "{} cannot be scaled: scalar and traefik can; of Cassandra, nodes are added one by one",
            flags.what
        );
    };
    let _lock = Lock::take(folder, "scale")?;
    let path = folder.join(config::FILE);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let scaled = set_number(&text, key, flags.count)
        .with_context(|| format!("{}: it is no object of JSON", path.display()))?;
    // A link leads to a file elsewhere, which is to stay.
    let file =
        fs::canonicalize(&path).with_context(|| format!("cannot find {}", path.display()))?;
    let mode = fs::metadata(&file)?.permissions();
    let write = |text: &str| {
        private::write(&file, text)?;
        fs::set_permissions(&file, mode.clone()).context("cannot keep the mode of config.json")
    };
    write(&scaled)?;
    let made = Network::load(folder).and_then(|network| {
        make(
            &network,
            Some(&Wanted::default()),
            &flags.consent,
            flags.yes,
        )
    });
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            if error.is::<super::NothingDone>() || error.is::<crate::config::ConfigError>() {
                write(&text)?;
            }
            return Err(error);
        }
    };
    if flags.no_install {
        return say_machines(&Network::load(folder)?, flags.consent.json);
    }
    after(folder, made, install::START, &flags.consent)
}
