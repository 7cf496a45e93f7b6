//! `node_ethtool_*`: what drivers of network devices count, and what their links can do.

use std::{collections::BTreeMap, io, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};
use regex::Regex;

use super::{Entry, Named, gauge, labels, sanitized};
use crate::{
    ethtool::{Ethtool, Kernel, Link, driver, link, statistics},
    filter::{Default, Filter, FilterFlags, compile},
    flags::{given, value},
    host::{Host, float},
};

pub(super) const ENTRY: Entry = Entry {
    name: "ethtool",
    default: false,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of ethtool devices to include (mutually exclusive to device-exclude)",
        );
        let command = value(
            command,
            FILTER.exclude,
            false,
            "Regexp of ethtool devices to exclude (mutually exclusive to device-include)",
        );
        value(
            command,
            METRICS,
            false,
            "Regexp of ethtool stats to include",
        )
    },
    make: |setup| {
        Ok(Box::new(Devices {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
            metrics: compile(METRICS, given(setup.matches, METRICS))?,
        }))
    },
    // The others' names are the drivers'.
    descs: &[
        INFO,
        PORT,
        SUPPORTED.speed,
        SUPPORTED.autonegotiate,
        SUPPORTED.pause,
        SUPPORTED.asymmetric,
        ADVERTISED.speed,
        ADVERTISED.autonegotiate,
        ADVERTISED.pause,
        ADVERTISED.asymmetric,
        AUTONEGOTIATE,
    ],
};

const METRICS: &str = "collector.ethtool.metrics-include";
const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.ethtool.device-exclude",
    include: "collector.ethtool.device-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};

const INFO: Desc = gauge(
    "node_ethtool_info",
    "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, firmware_version, version.",
)
.labels(&[
    "bus_info",
    "device",
    "driver",
    "expansion_rom_version",
    "firmware_version",
    "version",
]);
const PORT: Desc = gauge(
    "node_network_supported_port_info",
    "Type of ports or PHYs supported by network device",
)
.labels(&["device", "type"]);
const AUTONEGOTIATE: Desc = gauge(
    "node_network_autonegotiate",
    "If this port is using autonegotiate",
)
.labels(&["device"]);

/// What is said of a set of link modes.
struct Modes {
    speed: Desc,
    autonegotiate: Desc,
    pause: Desc,
    asymmetric: Desc,
}

const SPEED_LABELS: &[&str] = &["device", "duplex", "mode"];
const SUPPORTED: Modes = Modes {
    speed: gauge(
        "node_network_supported_speed_bytes",
        "Combination of speeds and features supported by network device",
    )
    .labels(SPEED_LABELS),
    autonegotiate: gauge(
        "node_network_autonegotiate_supported",
        "If this port device supports autonegotiate",
    )
    .labels(&["device"]),
    pause: gauge(
        "node_network_pause_supported",
        "If this port device supports pause frames",
    )
    .labels(&["device"]),
    asymmetric: gauge(
        "node_network_asymmetricpause_supported",
        "If this port device supports asymmetric pause frames",
    )
    .labels(&["device"]),
};
const ADVERTISED: Modes = Modes {
    speed: gauge(
        "node_network_advertised_speed_bytes",
        "Combination of speeds and features offered by network device",
    )
    .labels(SPEED_LABELS),
    autonegotiate: gauge(
        "node_network_autonegotiate_advertised",
        "If this port device offers autonegotiate",
    )
    .labels(&["device"]),
    pause: gauge(
        "node_network_pause_advertised",
        "If this port device offers pause capability",
    )
    .labels(&["device"]),
    asymmetric: gauge(
        "node_network_asymmetricpause_advertised",
        "If this port device offers asymmetric pause capability",
    )
    .labels(&["device"]),
};

/// Bits of link modes (`ethtool_link_mode_bit_indices`); the older question has the first 32.
const AUTONEG_BIT: u32 = 6;
const PAUSE_BIT: u32 = 13;
const ASYMMETRIC_BIT: u32 = 14;
const PORTS: [(u32, &str); 6] = [
    (7, "TP"),
    (8, "AUI"),
    (9, "MII"),
    (10, "FIBRE"),
    (11, "BNC"),
    (16, "Backplane"),
];
/// Bit, Mbit/s, duplex, and what carries it.
const SPEEDS: [(u32, u32, &str, &str); 22] = [
    (0, 10, "half", "T"),
    (1, 10, "full", "T"),
    (2, 100, "half", "T"),
    (3, 100, "full", "T"),
    (4, 1000, "half", "T"),
    (5, 1000, "full", "T"),
    (12, 10_000, "full", "T"),
    (17, 1000, "full", "KX"),
    (18, 10_000, "full", "KX4"),
    (19, 10_000, "full", "KR"),
    (20, 10_000, "full", "R_FEC"),
    (21, 20_000, "full", "MLD2"),
    (22, 20_000, "full", "KR2"),
    (23, 40_000, "full", "KR4"),
    (24, 40_000, "full", "CR4"),
    (25, 40_000, "full", "SR4"),
    (26, 40_000, "full", "LR4"),
    (27, 56_000, "full", "KR4"),
    (28, 56_000, "full", "CR4"),
    (29, 56_000, "full", "SR4"),
    (30, 56_000, "full", "LR4"),
    (31, 25_000, "full", "CR"),
];

/// Statistics that have a help text of their own.
const KNOWN: [(&str, &str, &str); 7] = [
    (
        "rx_bytes",
        "received_bytes_total",
        "Network interface bytes received",
    ),
    (
        "rx_dropped",
        "received_dropped_total",
        "Number of received frames dropped",
    ),
    (
        "rx_errors",
        "received_errors_total",
        "Number of received frames with errors",
    ),
    (
        "rx_packets",
        "received_packets_total",
        "Network interface packets received",
    ),
    (
        "tx_bytes",
        "transmitted_bytes_total",
        "Network interface bytes sent",
    ),
    (
        "tx_errors",
        "transmitted_errors_total",
        "Number of sent frames with errors",
    ),
    (
        "tx_packets",
        "transmitted_packets_total",
        "Network interface packets sent",
    ),
];

struct Devices {
    host: Arc<Host>,
    filter: Filter,
    /// None shows them all.
    metrics: Option<Regex>,
}

impl Collector for Devices {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let devices = self.host.devices(&self.host.sys("class/net"))?;
        let kernel = Kernel::open().map_err(CollectError::failed)?;
        let devices = devices.iter().filter(|it| !self.filter.ignores(it));
        self.show(&kernel, devices.map(String::as_str), out);
        Ok(())
    }
}

impl Devices {
    /// A device whose driver does not answer a question shows the others' answers.
    fn show<'a>(
        &self,
        kernel: &dyn Ethtool,
        devices: impl Iterator<Item = &'a str>,
        out: &mut Vec<Family>,
    ) {
        let mut info = Family::of(&INFO);
        let mut links = Links::new();
        let mut named = Named::default();
        for device in devices {
            if let Ok(link) = link(kernel, device) {
                links.push(device, link);
            }
            if let Ok(it) = driver(kernel, device) {
                let values = [
                    &it.bus,
                    device,
                    &it.driver,
                    &it.rom,
                    &it.firmware,
                    &it.version,
                ];
                info.push(&values, 1.0);
            }
            push_statistics(
                statistics(kernel, device),
                device,
                self.metrics.as_ref(),
                &mut named,
            );
        }
        out.push(info);
        out.extend(links.0);
        out.extend(named.families());
    }
}

/// Shows a device's statistics. Of two whose names would be the same neither is shown.
pub(super) fn push_statistics(
    statistics: io::Result<Vec<(String, u64)>>,
    device: &str,
    wanted: Option<&Regex>,
    named: &mut Named,
) {
    let mut found = BTreeMap::<String, Option<(String, u64)>>::new();
    for (name, value) in statistics.unwrap_or_default() {
        let name = sanitized(&name);
        if wanted.is_some_and(|it| !it.is_match(&name)) {
            continue;
        }
        found
            .entry(metric_name(&name))
            .and_modify(|it| *it = None)
            .or_insert(Some((name, value)));
    }
    for (metric, statistic) in found {
        let Some((name, value)) = statistic else {
            continue;
        };
        let known = KNOWN.iter().find(|(its, _, _)| *its == name);
        let metric = known.map_or(metric, |(_, metric, _)| format!("node_ethtool_{metric}"));
        let help = || match known {
            Some((_, _, help)) => (*help).to_owned(),
            None => format!("Network interface {name}"),
        };
        let labels = labels([("device", device)]);
        named.push(&metric, Kind::Untyped, help, labels, float(value));
    }
}

/// `rx_queue_0_bytes` is `node_ethtool_received_queue_0_bytes`.
fn metric_name(name: &str) -> String {
    let name = name.to_lowercase();
    let name = spelled_out(name.trim_start_matches('_'), "rx", "received");
    format!("node_ethtool_{}", spelled_out(&name, "tx", "transmitted"))
}

/// Spells a word out wherever it stands between underscores; of two in a row only the first, as node_exporter's
/// expression does, for which they share an underscore.
fn spelled_out(name: &str, short: &str, long: &'static str) -> String {
    let mut before = false;
    let words = name.split('_').map(|word| {
        before = word == short && !before;
        if before { long } else { word }
    });
    words.collect::<Vec<_>>().join("_")
}

/// The families of links.
struct Links([Family; 10]);

impl Links {
    fn new() -> Self {
        let modes = |it: &Modes| {
            [it.speed, it.autonegotiate, it.pause, it.asymmetric].map(|it| Family::of(&it))
        };
        let [a, b, c, d] = modes(&SUPPORTED);
        let [e, f, g, h] = modes(&ADVERTISED);
        Self([
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            Family::of(&PORT),
            Family::of(&AUTONEGOTIATE),
        ])
    }

    fn push(&mut self, device: &str, link: Link) {
        let [
            s_speed,
            s_auto,
            s_pause,
            s_asym,
            a_speed,
            a_auto,
            a_pause,
            a_asym,
            ports,
            auto,
        ] = &mut self.0;
        for (modes, speeds, flags) in [
            (link.supported, s_speed, [s_auto, s_pause, s_asym]),
            (link.advertised, a_speed, [a_auto, a_pause, a_asym]),
        ] {
            let has = |bit: u32| modes & (1 << bit) != 0;
            for (bit, megabits, duplex, carrier) in SPEEDS {
                if has(bit) {
                    let mode = format!("{megabits}base{carrier}");
                    speeds.push(
                        &[device, duplex, &mode],
                        f64::from(megabits) * 1_000_000.0 / 8.0,
                    );
                }
            }
            for (family, bit) in flags
                .into_iter()
                .zip([AUTONEG_BIT, PAUSE_BIT, ASYMMETRIC_BIT])
            {
                family.push(&[device], f64::from(u8::from(has(bit))));
            }
        }
        for (bit, name) in PORTS {
            if link.supported & (1 << bit) != 0 {
                ports.push(&[device, name], 1.0);
            }
        }
        auto.push(&[device], f64::from(u8::from(link.autonegotiates)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use exposition::{Family, Format, gather, write};

    use super::{Devices, metric_name};
    use crate::{ethtool::tests::Scripted, filter::Filter, host::tests::host};

    #[test]
    fn names() {
        for (name, expect) in [
            ("rx_bytes", "node_ethtool_received_bytes"),
            ("queue_0_tx_cnt", "node_ethtool_queue_0_transmitted_cnt"),
            ("_RX", "node_ethtool_received"),
            ("tx_tx_timeouts", "node_ethtool_transmitted_tx_timeouts"),
            ("prx", "node_ethtool_prx"),
        ] {
            assert_eq!(metric_name(name), expect, "{name}");
        }
    }

    #[test]
    fn devices() {
        let devices = Devices {
            host: Arc::new(host("/")),
            filter: Filter::of(None, None),
            metrics: None,
        };
        let scripted = Scripted(vec![
            ("rx_bytes", 7),
            ("a b", 1),
            ("a.b", 2),
            ("bw_in_allowance_exceeded", 3),
        ]);
        let mut out: Vec<Family> = Vec::new();
        devices.show(&scripted, ["eth0"].into_iter(), &mut out);
        let text = String::from_utf8(write(&gather(out).0, Format::Text)).unwrap();
        let lines: Vec<_> = text.lines().filter(|it| !it.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "node_ethtool_bw_in_allowance_exceeded{device=\"eth0\"} 3",
                "node_ethtool_info{bus_info=\"\",device=\"eth0\",driver=\"ena\",expansion_rom_version=\"\",firmware_version=\"\",version=\"\"} 1",
                "node_ethtool_received_bytes_total{device=\"eth0\"} 7",
                "node_network_advertised_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"1000baseT\"} 1.25e+08",
                "node_network_asymmetricpause_advertised{device=\"eth0\"} 0",
                "node_network_asymmetricpause_supported{device=\"eth0\"} 0",
                "node_network_autonegotiate{device=\"eth0\"} 1",
                "node_network_autonegotiate_advertised{device=\"eth0\"} 0",
                "node_network_autonegotiate_supported{device=\"eth0\"} 1",
                "node_network_pause_advertised{device=\"eth0\"} 0",
                "node_network_pause_supported{device=\"eth0\"} 1",
                "node_network_supported_port_info{device=\"eth0\",type=\"TP\"} 1",
                "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"1000baseT\"} 1.25e+08",
            ]
        );
    }
}
