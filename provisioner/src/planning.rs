//! Questions before anything is made: what a network costs, and what it carries. All figures are data.

mod capacity;
mod cost;
mod levels;

use std::{path::Path, process::ExitCode};

use anyhow::bail;

pub(crate) use self::levels::Level;
use self::levels::Levels;
use crate::{
    config::{Config, FILE, LEVELS},
    output,
};

/// What both questions need.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Ask for a resource level without a config.json
    #[arg(long, value_name = "LEVEL", value_parser = clap::builder::PossibleValuesParser::new(LEVELS))]
    level: Option<String>,
    /// A file in place of the figures that the provisioner has
    #[arg(long, value_name = "FILE")]
    levels: Option<std::path::PathBuf>,
    /// For programs
    #[arg(long)]
    json: bool,
}

/// `provisioner cost`.
#[derive(Debug, clap::Args)]
pub(crate) struct CostFlags {
    #[command(flatten)]
    flags: Flags,
    /// The price of a type of machine that the figures lack, in USD per hour
    #[arg(long = "price", value_name = "TYPE=USD")]
    prices: Vec<String>,
    /// Multiplies all prices, for another region: Tokyo is 1.2 to 1.3 times us-east-1
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    factor: f64,
}

/// `provisioner capacity`.
#[derive(Debug, clap::Args)]
pub(crate) struct CapacityFlags {
    #[command(flatten)]
    flags: Flags,
    /// Assets that a transaction writes
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    assets: u32,
    /// Transactions per second on average, day and night; what the network can carry without
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Days that data are kept
    #[arg(long, value_name = "N")]
    days: Option<f64>,
}

/// Prints what a month costs.
pub(crate) fn cost(folder: &Path, flags: &CostFlags) -> anyhow::Result<ExitCode> {
    let mut levels = Levels::load(flags.flags.levels.as_deref())?;
    for price in &flags.prices {
        let pair = price.split_once('=');
        let pair = pair.and_then(|(name, usd)| Some((name, usd.parse::<f64>().ok()?)));
        let Some((name, usd)) = pair.filter(|it| it.1 >= 0.0 && it.1.is_finite()) else {
            bail!("--price={price} is no type with USD per hour, such as m7i.large=0.1008");
        };
        levels.price(name, usd);
    }
    if !(flags.factor > 0.0 && flags.factor.is_finite()) {
        bail!("--factor must be greater than 0");
    }
    let (name, level, config) = chosen(folder, &flags.flags, &levels)?;
    let bill = cost::bill(&level, &levels, config.as_ref(), flags.factor)?;
    if flags.flags.json {
        output::say(serde_json::to_string_pretty(&bill.json(&name, &levels))?);
    } else {
        output::say(bill.text(&name, &levels));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what the network carries.
pub(crate) fn capacity(folder: &Path, flags: &CapacityFlags) -> anyhow::Result<ExitCode> {
    let levels = Levels::load(flags.flags.levels.as_deref())?;
    let is_fine = |it: &Option<f64>| it.is_none_or(|it| it > 0.0 && it.is_finite());
    if !is_fine(&flags.rate) || !is_fine(&flags.days) {
        bail!("--rate and --days must be greater than 0");
    }
    let (name, level, _config) = chosen(folder, &flags.flags, &levels)?;
    let asked = capacity::Asked {
        assets: flags.assets,
        rate: flags.rate,
        days: flags.days,
    };
    let answer = capacity::answer(&level, &levels, &asked)?;
    if flags.flags.json {
        output::say(serde_json::to_string_pretty(&answer.json(&name))?);
    } else {
        output::say(answer.text(&name));
    }
    Ok(ExitCode::SUCCESS)
}

/// The level that is asked for, or the one of the environment with what its keys say.
fn chosen(
    folder: &Path,
    flags: &Flags,
    levels: &Levels,
) -> anyhow::Result<(String, Level, Option<Config>)> {
    if let Some(name) = &flags.level {
        return Ok((name.clone(), levels.get(name)?.clone(), None));
    }
    let path = folder.join(FILE);
    if !path.exists() {
        bail!(
            "there is no {}: give --level, or -e with the folder of an environment",
            path.display()
        );
    }
    let config = Config::load(&path)?;
    let name = config.text("level").unwrap_or("entry").to_owned();
    let level = levels.of(&config)?;
    Ok((name, level, Some(config)))
}

/// USD per month, and the hours of a month.
pub(crate) fn monthly(config: &Config) -> anyhow::Result<(f64, f64)> {
    let levels = Levels::load(None)?;
    let bill = cost::bill(&levels.of(config)?, &levels, Some(config), 1.0)?;
    Ok((bill.total(), levels.prices.hours))
}

/// The machines of an environment, by its level and its keys.
pub(crate) fn level(config: &Config) -> anyhow::Result<Level> {
    Levels::load(None)?.of(config)
}
