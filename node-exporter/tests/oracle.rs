//! node_exporter 1.12.1, built from its module, beside ours: on the trees of files and on the machine that the test runs on.
//! Names, types, help texts, labels and values are the same, but for what is listed here with its reason.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{collections::BTreeSet, path::Path};

use testkit::{Program, Running, get, root};

/// Both read these from files. (`filesystem` asks the kernel for each mount: its own test is below.)
const OF_FILES: &str = "arp bcache bcachefs bonding btrfs buddyinfo cgroups conntrack cpu cpu_vulnerabilities cpufreq diskstats dmi \
    dmmultipath drbd edac entropy fibrechannel filefd hwmon infiniband interrupts ipvs kernel_hung ksmd lnstat loadavg mdadm meminfo \
    meminfo_numa mountstats netclass netdev netstat nfs nfsd nvme os powersupplyclass pressure processes rapl schedstat slabinfo \
    sockstat softirqs softnet stat sysctl tapestats thermal_zone udp_queues vmstat watchdog xfrm xfs zfs zoneinfo";
/// These ask the kernel, whatever the paths say.
const OF_THE_KERNEL: &str =
    "arp ethtool filesystem netdev network_route qdisc selinux tcpstat timex uname time";

/// What is different, and meant to be.
const MEANT: [(&str, &str); 4] = [
    // node_exporter leaves out what it does not know.
    ("meminfo", "node_memory_"),
    // Ours have no time from run to run, nor the same version.
    ("all", "node_scrape_collector_duration_seconds"),
    ("all", "node_exporter_build_info"),
    // The time at which each was asked.
    ("time", "node_time_seconds"),
];

fn start(program: Program, arguments: &[String]) -> Running {
    program
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--web.disable-exporter-metrics",
            "--collector.disable-defaults",
        ])
        .args(arguments)
        .start()
}

/// The lines of both that the other has not.
fn differences(arguments: &[String]) -> (BTreeSet<String>, BTreeSet<String>) {
    let theirs = parts::find("node_exporter").unwrap().path;
    let theirs = start(Program::at(theirs), arguments);
    let ours = start(Program::new("node-exporter"), arguments);
    let lines = |running: &Running| -> BTreeSet<String> {
        let (status, text) = get(running.address(), "/metrics").unwrap();
        assert_eq!(status, 200, "{text}");
        text.lines()
            .filter(|it| !is_meant(it))
            .map(str::to_owned)
            .collect()
    };
    let (theirs, ours) = (lines(&theirs), lines(&ours));
    assert!(theirs.len() > 100, "{theirs:?}");
    (
        theirs.difference(&ours).cloned().collect(),
        ours.difference(&theirs).cloned().collect(),
    )
}

fn name(line: &str) -> &str {
    let line = line
        .trim_start_matches("# HELP ")
        .trim_start_matches("# TYPE ");
    line.split(['{', ' ']).next().unwrap_or_default()
}

fn is_meant(line: &str) -> bool {
    MEANT
        .iter()
        .any(|(collector, prefix)| *collector != "meminfo" && name(line).starts_with(prefix))
}

fn tree(name: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    testkit::tree::unpack(
        root()
            .join("node-exporter/tests/fixtures")
            .join(format!("{name}.tree")),
        folder.path(),
    );
    let arguments = arguments(folder.path(), more);
    let (missing, mut added) = differences(&arguments);
    added.retain(|it| !name_is_of_meminfo(it));
    assert!(
        missing.is_empty() && added.is_empty(),
        "{name}\nmissing: {missing:#?}\nadded: {added:#?}"
    );
}

fn name_is_of_meminfo(line: &str) -> bool {
    name(line).starts_with("node_memory_") && !name(line).starts_with("node_memory_numa_")
}

fn arguments(folder: &Path, more: &[&str]) -> Vec<String> {
    let path = |flag: &str, part: &str| format!("--path.{flag}={}", folder.join(part).display());
    let mut arguments = vec![
        path("procfs", "proc"),
        path("sysfs", "sys"),
        path("rootfs", "root"),
        path("udev.data", "udev"),
        "--no-collector.arp.netlink".to_owned(),
        "--no-collector.netdev.netlink".to_owned(),
    ];
    arguments.extend(
        OF_FILES
            .split_ascii_whitespace()
            .map(|it| format!("--collector.{it}")),
    );
    arguments.extend(more.iter().map(|it| (*it).to_owned()));
    arguments
}

#[test]
fn virtual_machine() {
    tree(
        "linux-6.18-vm",
        &["--collector.cpu.info", "--collector.stat.softirq"],
    );
}

#[test]
fn ec2_with_nvme() {
    tree(
        "linux-5.10-ec2-nvme",
        &[
            "--collector.netdev.enable-detailed-metrics",
            "--collector.netclass.ignore-invalid-speed",
        ],
    );
}

#[test]
fn bare_metal() {
    tree("linux-6.1-metal", &["--collector.rapl.enable-zone-label"]);
    tree(
        "linux-6.1-metal",
        &[
            "--collector.hwmon.chip-include=core",
            "--collector.hwmon.sensor-exclude=core;temp2",
        ],
    );
}

#[test]
fn storage_and_network_services() {
    tree(
        "linux-6.12-storage",
        &[
            "--collector.bcache.priorityStats",
            "--collector.ipvs.backend-labels=local_address,proto",
            "--collector.sysctl.include=fs.file-nr",
            "--collector.sysctl.include=fs.file-nr:total,current,max",
            "--collector.sysctl.include-info=kernel.seccomp.actions_avail",
        ],
    );
    tree("linux-6.12-storage", &[]);
}

/// On a machine at work values differ between two looks: names, types, help texts and labels do not.
#[test]
fn this_machine() {
    let collectors = OF_FILES
        .split_ascii_whitespace()
        .chain(OF_THE_KERNEL.split_ascii_whitespace());
    // Processes and sockets come and go; what changes in their labels is a state that nobody is in.
    let steady = |it: &&str| !matches!(*it, "processes" | "tcpstat" | "sysctl" | "slabinfo");
    let mut arguments: Vec<_> = collectors
        .filter(steady)
        .map(|it| format!("--collector.{it}"))
        .collect();
    arguments.sort();
    arguments.dedup();
    let (missing, added) = differences(&arguments);
    let shape = |lines: &BTreeSet<String>| -> BTreeSet<String> {
        lines
            .iter()
            .filter(|it| !name_is_of_meminfo(it))
            .map(|it| {
                if it.starts_with('#') {
                    it.clone()
                } else {
                    it.rsplit_once(' ').unwrap().0.to_owned()
                }
            })
            .collect()
    };
    assert_eq!(shape(&missing), shape(&added));
    // Values that move are those of counters and of a few gauges; most stay, and are the same to the last digit.
    assert!(missing.len() < 400, "{missing:#?}");
}

/// Every flag of theirs is one of ours, but for collectors that the README says are left out.
#[test]
fn flags() {
    let theirs = parts::find("node_exporter").unwrap().path;
    let help = Program::at(theirs).args(["--help"]).run();
    let text = help.stdout + &help.stderr;
    let readme = std::fs::read_to_string(root().join("node-exporter/README.md")).unwrap();
    let (_, left_out) = readme.split_once("## Left out").unwrap();
    let left_out: Vec<_> = left_out
        .lines()
        .filter_map(|it| it.strip_prefix("| ")?.split(' ').next())
        .collect();
    let mut known = 0;
    for line in text.lines() {
        // What is further in is help text.
        let Some(flag) = line.strip_prefix("      --") else {
            continue;
        };
        let (flag, value) = flag
            .split(' ')
            .next()
            .unwrap()
            .split_once('=')
            .unwrap_or((flag, ""));
        let flag = flag.split(' ').next().unwrap();
        // Its default, or the name of a value in capitals.
        let value = value.trim_matches('"');
        let named = value.is_empty() || value.starts_with(|it: char| it.is_ascii_uppercase());
        let value = if named { "1" } else { value };
        let (flag, negated) = match flag.strip_prefix("[no-]") {
            Some(flag) => (flag, true),
            None => (flag, false),
        };
        let flag = flag.trim_end_matches("...");
        let collector = flag
            .strip_prefix("collector.")
            .unwrap_or("")
            .split('.')
            .next()
            .unwrap();
        if left_out.contains(&collector)
            || matches!(flag, "help" | "help-long" | "help-man" | "version")
        {
            continue;
        }
        known += 1;
        let of_a_collector = flag.starts_with("collector.") && flag != "collector.disable-defaults";
        let flags = match (negated, of_a_collector) {
            (true, true) => vec![format!("--{flag}"), format!("--no-{flag}")],
            (true, false) => vec![format!("--{flag}")],
            (false, _) => vec![format!("--{flag}={value}")],
        };
        for flag in flags {
            // What is not known is said before what follows it.
            let ended = Program::new("node-exporter")
                .args([flag.as_str(), "--no-such-flag"])
                .run();
            assert!(
                ended.stderr.contains("'--no-such-flag'"),
                "{flag}: {}",
                ended.stderr
            );
        }
    }
    assert!(known > 100, "{text}");
}
