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

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        panic::{AssertUnwindSafe, catch_unwind},
        path::Path,
        time::{Duration, Instant},
    };

    use clap::{CommandFactory, FromArgMatches};
    use daemon::{Collector, Scrape};
    use exposition::{Family, Format, gather, parse, write};

    use super::{ALL, make};
    use crate::{PROGRAM, flags::Flags};

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
        let mut lines = BTreeMap::new();
        let ebs = crate::ebs::descs();
        for desc in ALL.iter().flat_map(|it| it.descs).chain(&ebs) {
            let mut labels = desc.labels.to_vec();
            labels.sort_unstable();
            let line = format!("{}\t{}\t{}", desc.kind, labels.join(","), desc.help);
            assert_eq!(
                lines.insert(desc.name.to_owned(), line),
                None,
                "{} is there twice",
                desc.name
            );
        }
        let mut add = |family: &Family| {
            let labels = family.metrics.first().map_or_else(Vec::new, |it| {
                it.labels.iter().map(|(name, _)| name.to_owned()).collect()
            });
            let line = format!("{}\t{}\t{}", family.kind(), labels.join(","), family.help());
            lines.entry(family.name().to_owned()).or_insert(line);
        };
        daemon::own_families(&PROGRAM).iter().for_each(&mut add);
        // Names that are the kernel's are those of the goldens.
        for golden in TREES {
            let path = testkit::root().join(format!("node-exporter/tests/golden/{golden}.prom"));
            let text = std::fs::read_to_string(path)
                .unwrap()
                .replace("<varies>", "0");
            let families = parse::text(&text).unwrap();
            let kernel = ["node_memory_", "node_vmstat_", "node_scrape_collector_"];
            let named = |it: &&Family| kernel.iter().any(|prefix| it.name().starts_with(prefix));
            families.iter().filter(named).for_each(&mut add);
        }
        let text: String = lines
            .iter()
            .map(|(name, line)| format!("{name}\t{line}\n"))
            .collect();
        testkit::golden::check("node-exporter/metrics.tsv", &text);
    }

    /// Whatever is in a file, and wherever it ends, collectors say so or leave it out: none panics, and what they show is
    /// well-formed. Every file of every tree is missing once, cut in the middle once, and rubbish in several ways.
    #[test]
    fn no_file_breaks_a_collector() {
        let mut broken = 0;
        for tree in TREES {
            let path = testkit::root().join(format!("node-exporter/tests/fixtures/{tree}.tree"));
            let folder = tempfile::tempdir().unwrap();
            testkit::tree::unpack(&path, folder.path());
            let source = |name: &str| {
                let source =
                    testkit::root().join(format!("node-exporter/src/collectors/{name}.rs"));
                std::fs::read_to_string(source).unwrap()
            };
            let collectors = of_files(folder.path()).into_iter();
            let collectors: Vec<_> = collectors
                .map(|it| (source(it.name()), it))
                .map(|(source, it)| (it, source))
                .collect();
            let text = std::fs::read_to_string(&path).unwrap();
            for (file, good) in testkit::tree::files(&text) {
                if file.ends_with(".keep") || file.starts_with("textfile/") {
                    continue;
                }
                let at = folder.path().join(file);
                let half = good
                    .char_indices()
                    .nth(good.chars().count() / 2)
                    .map_or(0, |it| it.0);
                let bad = [
                    None,
                    Some(String::new()),
                    Some(good.get(..half).unwrap_or_default().to_owned()),
                    Some("\0\u{1}\u{2} rubbish: of [some] (kind)\n\n:\n[\n".to_owned()),
                    Some(good.replace(|it: char| it.is_ascii_digit(), "x")),
                    Some(good.replace(|it: char| it.is_ascii_digit(), "9")),
                    Some(good.replace([' ', '\t'], "")),
                    Some(good.replace('\n', " ")),
                    Some("18446744073709551616\n".to_owned()),
                    Some("-1\n".to_owned()),
                ];
                let concerned: Vec<_> = collectors
                    .iter()
                    .filter(|(_, source)| reads(source, file))
                    .collect();
                for text in bad {
                    std::fs::remove_file(&at).ok();
                    if let Some(text) = &text {
                        std::fs::write(&at, text).unwrap();
                    }
                    for (collector, _) in &concerned {
                        check(&**collector, file, text.as_deref());
                        broken += 1;
                    }
                }
                std::fs::write(&at, &good).unwrap();
            }
        }
        assert!(broken > 5000, "{broken}");
    }

    const TREES: [&str; 4] = [
        "linux-6.18-vm",
        "linux-5.10-ec2-nvme",
        "linux-6.1-metal",
        "linux-6.12-storage",
    ];

    /// Every collector but those that ask the kernel and not files.
    fn of_files(folder: &Path) -> Vec<Box<dyn Collector>> {
        let path =
            |flag: &str, part: &str| format!("--path.{flag}={}", folder.join(part).display());
        let mut arguments = vec![
            path("procfs", "proc"),
            path("sysfs", "sys"),
            path("rootfs", "root"),
            path("udev.data", "udev"),
            "--no-collector.netdev.netlink".to_owned(),
            "--no-collector.arp.netlink".to_owned(),
            "--collector.cpu.info".to_owned(),
            "--collector.bcache.priorityStats".to_owned(),
            "--collector.sysctl.include=fs.file-nr".to_owned(),
        ];
        let kernel = [
            "ec2",
            "ena",
            "ethtool",
            "logind",
            "network_route",
            "qdisc",
            "systemd",
            "tcp_probe",
            "tcpstat",
        ];
        for entry in ALL {
            let no = if kernel.contains(&entry.name) {
                "no-"
            } else {
                ""
            };
            arguments.push(format!("--{no}collector.{}", entry.name));
        }
        let matches = Flags::command()
            .no_binary_name(true)
            .get_matches_from(arguments);
        make(&Flags::from_arg_matches(&matches).unwrap()).unwrap().0
    }

    /// Whether a collector may read a file, by what its source says: each test of all collectors would take minutes.
    fn reads(source: &str, file: &str) -> bool {
        let name = file.rsplit('/').next().unwrap_or_default();
        let start = name.trim_end_matches(|it: char| it.is_ascii_digit());
        let words = file.split('/').skip(1).filter(|it| {
            !matches!(
                *it,
                "sys" | "class" | "devices" | "system" | "net" | "block"
            )
        });
        source.contains(start)
            || words
                .into_iter()
                .any(|it| it.len() > 3 && source.contains(it))
    }

    fn check(collector: &dyn Collector, file: &str, text: Option<&str>) {
        let mut out = Vec::new();
        let scrape = Scrape {
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let collected = catch_unwind(AssertUnwindSafe(|| collector.collect(&scrape, &mut out)));
        assert!(
            collected.is_ok(),
            "{} panics when {file} is {text:?}",
            collector.name()
        );
        let written = write(&gather(out).0, Format::Text);
        let written = String::from_utf8(written).unwrap();
        if let Err(error) = parse::text_strict(&written) {
            panic!(
                "{} is ill-formed when {file} is {text:?}: {error}\n{written}",
                collector.name()
            );
        }
    }
}
