//! What a month costs: machines, volumes, and what stands between them. Traffic is not in it.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::levels::{Level, Levels, Machines};
use crate::config::Config;

/// A bill of a month.
#[derive(Debug)]
pub(super) struct Bill {
    about: String,
    /// What, how many of what, USD per month.
    lines: Vec<(String, String, f64)>,
}

/// What the machines of a level cost.
pub(super) fn bill(
    level: &Level,
    levels: &Levels,
    config: Option<&Config>,
    factor: f64,
) -> anyhow::Result<Bill> {
    let prices = &levels.prices;
    let mut lines = Vec::new();
    for (role, machines) in level.roles() {
        if machines.count == 0 {
            continue;
        }
        let count = f64::from(machines.count);
        let kind = levels.kind(&machines.kind).with_context(|| {
            let kind = &machines.kind;
            format!("{role}: there is no price for {kind}: give --price={kind}=USD, per hour")
        })?;
        let size = match (kind.vcpu, kind.memory) {
            (Some(vcpu), Some(memory)) => format!(" ({vcpu} vCPU, {memory} GiB)"),
            _ => String::new(),
        };
        lines.push((
            role.to_owned(),
            format!("{} x {}{size}", machines.count, machines.kind),
            prices.hours * count * kind.price,
        ));
        let (volumes, usd) = volumes(machines, levels);
        lines.push((format!("{role} volumes"), volumes, count * usd));
    }
    if level.balancer {
        let usd = prices.hours * prices.balancer_hour;
        lines.push(("load balancer".to_owned(), "1".to_owned(), usd));
    }
    let nat = f64::from(level.nat);
    lines.push((
        "NAT gateways".to_owned(),
        level.nat.to_string(),
        prices.hours * nat * prices.nat_hour,
    ));
    // A load balancer for the public has one in each of three zones; what else there is of the entry stands in private subnets.
    let site = config.and_then(|it| it.text("site_url"));
    let is_public = site.is_some_and(|it| !it.is_empty());
    let entry = if level.balancer && is_public { 3 } else { 0 };
    let addresses = level.nat + level.bastion.count + entry;
    lines.push((
        "public addresses".to_owned(),
        addresses.to_string(),
        prices.hours * f64::from(addresses) * prices.address_hour,
    ));
    // The private one. That of a site was there before.
    lines.push(("DNS zones".to_owned(), "1".to_owned(), prices.zone_month));
    for line in &mut lines {
        line.2 *= factor;
    }
    let about = level.about.clone();
    Ok(Bill { about, lines })
}

fn volumes(machines: &Machines, levels: &Levels) -> (String, f64) {
    let prices = &levels.prices;
    let all = [
        ("root", machines.root),
        ("data", machines.data),
        ("commit log", machines.commitlog),
    ];
    let all: Vec<_> = all.into_iter().filter(|it| it.1 > 0).collect();
    let (iops, mbps) = (machines.iops, machines.mbps);
    let is_fast = iops > 3000 || mbps > 125;
    let text: Vec<_> = all
        .iter()
        .map(|(place, size)| {
            let is_data = *place == "data";
            let speed = (is_data && is_fast).then(|| format!(" ({iops} IOPS, {mbps} MB/s)"));
            format!("{place} {size} GiB{}", speed.unwrap_or_default())
        })
        .collect();
    let size: u32 = all.iter().map(|it| it.1).sum();
    let mut usd = f64::from(size) * prices.volume_gib;
    if machines.data > 0 {
        usd += f64::from(machines.iops.saturating_sub(3000)) * prices.volume_iops;
        usd += f64::from(machines.mbps.saturating_sub(125)) * prices.volume_mbps;
    }
    (text.join(", "), usd)
}

impl Bill {
    pub(super) fn total(&self) -> f64 {
        self.lines.iter().map(|it| it.2).sum()
    }

    pub(super) fn text(&self, name: &str, levels: &Levels) -> String {
        let mut text = format!(
            "level {name}: {}\n{}, prices of {}; an estimate, without traffic and S3\n\n",
            self.about, levels.region, levels.as_of
        );
        for (what, how, usd) in &self.lines {
            text += &format!("{what:<20} {how:<36} {usd:>9.2}\n");
        }
        text + &format!("{:<57} {:>9.2} USD per month", "", self.total())
    }

    pub(super) fn json(&self, name: &str, levels: &Levels) -> Value {
        let cents = |usd: f64| (usd * 100.0).round() / 100.0;
        let lines = self.lines.iter();
        let lines: Vec<_> = lines
            .map(|(what, how, usd)| json!({"what": what, "count": how, "usd": cents(*usd)}))
            .collect();
        json!({
            "level": name,
            "region": levels.region,
            "as_of": levels.as_of,
            "is_estimate": true,
            "lines": lines,
            "usd_per_month": cents(self.total()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Levels, bill};

    /// Against sums that were made by hand, to a dollar.
    #[test]
    fn levels_cost() {
        let levels = Levels::load(None).unwrap();
        for (name, expect) in [
            ("entry", 903.0),
            ("medium", 1953.0),
            ("high", 5129.0),
            ("high-nvme", 4843.0),
        ] {
            let bill = bill(levels.get(name).unwrap(), &levels, None, 1.0).unwrap();
            let total = bill.total();
            assert!((total - expect).abs() < 1.0, "{name}: {total}");
            assert!(bill.text(name, &levels).ends_with("USD per month"));
        }
    }

    #[test]
    fn keys_and_unknown_prices() {
        let mut levels = Levels::load(None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(
            &path,
            r#"{"level": "entry", "cassandra_instance_count": 6, "scalar_instance_type": "x9.big", "leave_out": ["traefik"]}"#,
        )
        .unwrap();
        let config = crate::config::Config::load(&path).unwrap();
        let level = levels.of(&config).unwrap();
        let error = bill(&level, &levels, Some(&config), 1.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "scalardl: there is no price for x9.big: give --price=x9.big=USD, per hour"
        );
        levels.price("x9.big", 0.0928);
        let level = levels.of(&config).unwrap();
        let bill = bill(&level, &levels, Some(&config), 2.0).unwrap();
        let line = |name: &str| bill.lines.iter().find(|it| it.0 == name);
        assert!((line("scalardl").unwrap().2 - 2.0 * 730.0 * 3.0 * 0.0928).abs() < 1e-6);
        assert_eq!(
            line("cassandra").unwrap().1,
            "6 x m7i.xlarge (4 vCPU, 16 GiB)"
        );
        assert!(line("traefik").is_none());
    }
}
