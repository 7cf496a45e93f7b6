//! What a network carries: transactions per second, and days until its disks are full. An estimate by the constants of the data.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::levels::{Level, Levels};

const DAY: f64 = 86_400.0;
const KIB_OF_GIB: f64 = 1_048_576.0;

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Assets that a transaction writes.
    pub(super) assets: u32,
    /// Transactions per second on average.
    pub(super) rate: Option<f64>,
    pub(super) days: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Answer {
    assets: u32,
    /// Transactions per second that Cassandra's processors carry.
    most: f64,
    /// Unique data that the disks hold, in GiB.
    unique: f64,
    /// The rate that the days are counted with.
    rate: f64,
    /// Until the disks are full at that rate.
    days: f64,
    wanted: Option<f64>,
    /// Unique data at that rate for those days, in GiB.
    needed: Option<f64>,
    /// How long Prometheus keeps samples.
    retention: String,
}

pub(super) fn answer(level: &Level, levels: &Levels, asked: &Asked) -> anyhow::Result<Answer> {
    let figures = &levels.capacity;
    let nodes = f64::from(level.cassandra.count);
    let counted = nodes.min(3.0) + (nodes - 3.0).max(0.0) * figures.beyond_three;
    let kind = &level.cassandra.kind;
    let vcpus = levels.kind(kind).and_then(|it| it.vcpu);
    let vcpus = vcpus.with_context(|| {
        format!("the vCPUs of {kind} are not known: add it to [types] in a file for --levels")
    })?;
    let vcpus = f64::from(vcpus);
    let operations = vcpus * figures.vcpu_operations * counted * figures.utilization;
    // Each asset is read and written by four lightweight transactions, and the transaction's own state by one.
    let assets = f64::from(asked.assets);
    let most = operations / ((4.0 * assets + 1.0) * figures.lwt_operations);
    let disk = f64::from(level.cassandra.data + level.cassandra.store);
    let copies = figures.replication.min(nodes).max(1.0);
    let unique = disk * nodes / copies * figures.disk_used;
    let rate = asked.rate.unwrap_or(most);
    let gib_per_day = rate * assets * figures.version_kib * figures.compression * DAY / KIB_OF_GIB;
    Ok(Answer {
        assets: asked.assets,
        most,
        unique,
        rate,
        days: unique / gib_per_day,
        wanted: asked.days,
        needed: asked.days.map(|it| it * gib_per_day),
        retention: level.retention.clone(),
    })
}

impl Answer {
    pub(super) fn text(&self, name: &str) -> String {
        let Self {
            assets,
            most,
            unique,
            rate,
            days,
            ..
        } = self;
        let mut text = format!(
            "level {name}: an estimate, to be replaced by a measurement\n\n\
             about {most:.0} transactions per second that write {assets} asset(s) each\n\
             about {unique:.0} GiB of data, each counted once\n\
             at {rate:.0} per second, day and night, full in about {days:.0} days\n\
             Prometheus keeps its samples for {}",
            self.retention
        );
        if *rate > *most {
            text += &format!("\n{rate:.0} per second is more than it carries");
        }
        if let (Some(wanted), Some(needed)) = (self.wanted, self.needed) {
            let verdict = if needed <= *unique {
                "fits"
            } else {
                "does not fit"
            };
            text += &format!("\n{wanted:.0} days of it are {needed:.0} GiB: that {verdict}");
        }
        text
    }

    pub(super) fn json(&self, name: &str) -> Value {
        json!({
            "level": name,
            "is_estimate": true,
            "assets_per_transaction": self.assets,
            "transactions_per_second": self.most.round(),
            "unique_gib": self.unique.round(),
            "rate": self.rate.round(),
            "days_until_full": self.days.round(),
            "retention": self.retention,
            "needed_gib": self.needed.map(f64::round),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Levels, answer};

    #[test]
    fn entry() {
        let levels = Levels::load(None).unwrap();
        let asked = Asked {
            assets: 1,
            rate: None,
            days: None,
        };
        let entry = answer(levels.get("entry").unwrap(), &levels, &asked).unwrap();
        assert!((entry.most - 225.0).abs() < 0.5, "{entry:?}");
        assert!((entry.unique - 250.0).abs() < 0.5, "{entry:?}");
        assert!((entry.days - 15.0).abs() < 0.5, "{entry:?}");
        let asked = Asked {
            assets: 2,
            rate: Some(10.0),
            days: Some(365.0),
        };
        let text = answer(levels.get("entry").unwrap(), &levels, &asked)
            .unwrap()
            .text("entry");
        assert!(
            text.ends_with("365 days of it are 541 GiB: that does not fit"),
            "{text}"
        );
    }
}
