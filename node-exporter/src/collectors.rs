//! One file per collector, and the table that names them all.

mod arp;
mod bcache;
mod bcachefs;
mod bonding;
mod btrfs;
mod buddyinfo;
mod cgroup_units;
mod cgroups;
mod conntrack;
mod cpu;
mod cpu_vulnerabilities;
mod cpufreq;
mod diskstats;
mod dmi;
mod dmmultipath;
mod drbd;
mod ec2;
mod edac;
mod ena;
mod entropy;
mod ethtool;
mod fibrechannel;
mod filefd;
mod filesystem;
mod hwmon;
mod infiniband;
mod interrupts;
mod ipvs;
mod kernel_hung;
mod ksmd;
mod lnstat;
mod loadavg;
mod logind;
mod mdadm;
mod meminfo;
mod meminfo_numa;
mod mountstats;
mod netclass;
mod netdev;
mod netstat;
mod network_route;
mod nfs;
mod nfsd;
mod nvme;
mod os;
mod powersupplyclass;
mod pressure;
mod processes;
mod qdisc;
mod rapl;
mod schedstat;
mod selinux;
mod slabinfo;
mod sockstat;
mod softirqs;
mod softnet;
mod stat;
mod sysctl;
mod systemd;
mod tapestats;
mod tcp_probe;
mod tcpstat;
mod textfile;
mod thermal_zone;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;
mod watchdog;
mod xfrm;
mod xfs;
mod zfs;
mod zoneinfo;

use std::{collections::BTreeMap, sync::Arc};

use clap::{ArgMatches, Command};
use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind, Labels};

use crate::{
    flags::{FlagError, Flags, switched},
    host::Host,
};

/// A collector's place in the program.
pub(crate) struct Entry {
    /// The name in flags, in the URL filter and in the label `collector`.
    pub(crate) name: &'static str,
    /// Whether it runs when no flag names it.
    pub(crate) default: bool,
    /// Adds its flags.
    pub(crate) flags: fn(Command) -> Command,
    /// Makes it from its flags.
    pub(crate) make: fn(&Setup<'_>) -> Result<Box<dyn Collector>, FlagError>,
    /// What it exports, but for names that only the host knows.
    pub(crate) descs: &'static [Desc],
}

/// What a collector is made from.
pub(crate) struct Setup<'a> {
    pub(crate) matches: &'a ArgMatches,
    pub(crate) host: Arc<Host>,
}

impl Setup<'_> {
    /// Whether the flags switch a collector on.
    fn is_on(&self, entry: &Entry) -> bool {
        let flag = switched(self.matches, &format!("collector.{}", entry.name));
        let defaults = !self.matches.get_flag("collector.disable-defaults");
        // Not a word of it on hosts that have no such device.
        let there = || entry.name != ena::ENTRY.name || ena::is_there(&self.host);
        flag.unwrap_or_else(|| defaults && entry.default && there())
    }

    /// A collector without flags or memory of its own.
    fn plain(
        &self,
        name: &'static str,
        collect: fn(&Host, &mut Vec<Family>) -> Result<(), CollectError>,
    ) -> Result<Box<dyn Collector>, FlagError> {
        Ok(Box::new(Plain {
            name,
            host: Arc::clone(&self.host),
            collect,
        }))
    }
}

struct Plain {
    name: &'static str,
    host: Arc<Host>,
    collect: fn(&Host, &mut Vec<Family>) -> Result<(), CollectError>,
}

impl Collector for Plain {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        (self.collect)(&self.host, out)
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Gauge, help)
}

const fn counter(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Counter, help)
}

/// Families whose names only the host knows, by name.
#[derive(Default)]
struct Named(BTreeMap<String, Family>);

impl Named {
    /// Adds a value. A name that is none for Prometheus, with every other character as `_`, is impossible but for an
    /// empty one: that value is left out.
    fn push(
        &mut self,
        name: &str,
        kind: Kind,
        help: impl FnOnce() -> String,
        labels: Labels,
        value: f64,
    ) {
        if let Some(family) = self.0.get_mut(name) {
            family.push_labels(labels, value);
            return;
        }
        if let Ok(mut family) = Family::new(sanitized(name), kind, help()) {
            family.push_labels(labels, value);
            self.0.insert(name.to_owned(), family);
        }
    }

    fn families(self) -> impl Iterator<Item = Family> {
        self.0.into_values()
    }
}

/// A name with everything that Prometheus has no place for as `_`.
fn sanitized(name: &str) -> String {
    let good = |it: char| it.is_ascii_alphanumeric() || it == '_';
    name.chars()
        .map(|it| if good(it) { it } else { '_' })
        .collect()
}

/// Labels whose names are known to be good.
fn labels<'a>(pairs: impl IntoIterator<Item = (&'static str, &'a str)>) -> Labels {
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()));
    Labels::new(pairs).expect("every name is a label's")
}

/// Every collector, sorted by name.
pub(crate) const ALL: &[Entry] = &[
    arp::ENTRY,
    bcache::ENTRY,
    bcachefs::ENTRY,
    bonding::ENTRY,
    btrfs::ENTRY,
    buddyinfo::ENTRY,
    cgroup_units::ENTRY,
    cgroups::ENTRY,
    conntrack::ENTRY,
    cpu::ENTRY,
    cpu_vulnerabilities::ENTRY,
    cpufreq::ENTRY,
    diskstats::ENTRY,
    dmi::ENTRY,
    dmmultipath::ENTRY,
    drbd::ENTRY,
    ec2::ENTRY,
    edac::ENTRY,
    ena::ENTRY,
    entropy::ENTRY,
    ethtool::ENTRY,
    fibrechannel::ENTRY,
    filefd::ENTRY,
    filesystem::ENTRY,
    hwmon::ENTRY,
    infiniband::ENTRY,
    interrupts::ENTRY,
    ipvs::ENTRY,
    kernel_hung::ENTRY,
    ksmd::ENTRY,
    lnstat::ENTRY,
    loadavg::ENTRY,
    logind::ENTRY,
    mdadm::ENTRY,
    meminfo::ENTRY,
    meminfo_numa::ENTRY,
    mountstats::ENTRY,
    netclass::ENTRY,
    netdev::ENTRY,
    netstat::ENTRY,
    network_route::ENTRY,
    nfs::ENTRY,
    nfsd::ENTRY,
    nvme::ENTRY,
    os::ENTRY,
    powersupplyclass::ENTRY,
    pressure::ENTRY,
    processes::ENTRY,
    qdisc::ENTRY,
    rapl::ENTRY,
    schedstat::ENTRY,
    selinux::ENTRY,
    slabinfo::ENTRY,
    sockstat::ENTRY,
    softirqs::ENTRY,
    softnet::ENTRY,
    stat::ENTRY,
    sysctl::ENTRY,
    systemd::ENTRY,
    tapestats::ENTRY,
    tcp_probe::ENTRY,
    tcpstat::ENTRY,
    textfile::ENTRY,
    thermal_zone::ENTRY,
    time::ENTRY,
    timex::ENTRY,
    udp_queues::ENTRY,
    uname::ENTRY,
    vmstat::ENTRY,
    watchdog::ENTRY,
    xfrm::ENTRY,
    xfs::ENTRY,
    zfs::ENTRY,
    zoneinfo::ENTRY,
];

/// The collectors that the flags switch on, and the names of the others.
pub(crate) fn make(
    flags: &Flags,
) -> Result<(Vec<Box<dyn Collector>>, Vec<&'static str>), FlagError> {
    let setup = Setup {
        matches: &flags.matches,
        host: Arc::new(Host::new(flags.paths.clone())),
    };
    let (mut enabled, mut disabled) = (Vec::new(), Vec::new());
    for entry in ALL {
        if setup.is_on(entry) {
            enabled.push((entry.make)(&setup)?);
        } else {
            disabled.push(entry.name);
        }
    }
    Ok((enabled, disabled))
}

/// For collectors without flags of their own.
const fn no_flags(command: Command) -> Command {
    command
}

/// Every parser of the kernel's messages, on one.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_message(bytes: &[u8]) {
    qdisc::parse(bytes);
    netdev::link(bytes);
    netdev::address(bytes);
    network_route::parse(bytes);
    tcpstat::Counts::default().add(bytes);
    ec2::parse(bytes);
}

/// Filters' defaults, which are code beside the expression that they stand for.
#[cfg(feature = "fuzzing")]
pub(crate) const DEFAULTS: &[crate::filter::Default] = &[
    diskstats::FILTER.default,
    filesystem::MOUNTS.default,
    filesystem::TYPES.default,
    netstat::DEFAULT,
    vmstat::DEFAULT,
];

#[cfg(test)]
mod tests {
    use exposition::{Family, parse};
    use testkit::Catalogue;

    use super::ALL;
    use crate::PROGRAM;

    #[test]
    fn sorted_and_unique() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
    }

    /// A file that is not in the table would be dead code that looks alive.
    #[test]
    fn every_file_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/collectors");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path().file_stem().unwrap().to_owned())
            .collect();
        files.sort();
        let names: Vec<_> = ALL.iter().map(|it| it.name).collect();
        assert_eq!(files, names);
    }

    /// `metrics.tsv` is what dashboards and rules are held against: every name that the program can give.
    #[test]
    fn catalogue() {
        let mut all = Catalogue::default();
        all.add_descs(
            ALL.iter()
                .flat_map(|it| it.descs)
                .chain(&crate::ebs::descs()),
        );
        all.add_families(&daemon::own_families(&PROGRAM, "node"));
        // Names that are the kernel's are those of the goldens.
        for golden in crate::fuzz::TREES {
            let path = testkit::root().join(format!("node-exporter/tests/golden/{golden}.prom"));
            let text = std::fs::read_to_string(path)
                .unwrap()
                .replace("<varies>", "0");
            let families = parse::text(&text).unwrap();
            let kernel = [
                "node_hwmon_",
                "node_memory_",
                "node_netstat_",
                "node_power_supply_",
                "node_sockstat_",
                "node_vmstat_",
            ];
            let named = |it: &&Family| kernel.iter().any(|prefix| it.name().starts_with(prefix));
            all.add_families(families.iter().filter(named));
        }
        all.check("node-exporter");
    }
}
