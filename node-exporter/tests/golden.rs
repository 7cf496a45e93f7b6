//! Trees of files in, a scrape out. `UPDATE_GOLDEN=1` writes the goldens anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{collections::BTreeSet, path::Path};

use testkit::{Program, get, golden, root};

const FIXTURES: &str = "node-exporter/tests/fixtures";

/// Starts the program on a fixture and gives its scrape, without what differs from run to run.
fn scrape(fixture: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    testkit::tree::unpack(
        root().join(FIXTURES).join(format!("{fixture}.tree")),
        folder,
    );
    let path = |flag: &str, part: &str| format!("--{flag}={}", folder.join(part).display());
    let textfile = folder.join("textfile").is_dir();
    let running = Program::new("node-exporter")
        .args([
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--web.disable-exporter-metrics".to_owned(),
            path("path.procfs", "proc"),
            path("path.sysfs", "sys"),
            path("path.rootfs", "root"),
            path("path.udev.data", "udev"),
            // These ask the running kernel and the clock, not files.
            "--no-collector.uname".to_owned(),
            "--no-collector.timex".to_owned(),
            "--no-collector.selinux".to_owned(),
            "--no-collector.arp.netlink".to_owned(),
            "--no-collector.netdev.netlink".to_owned(),
        ])
        .args(textfile.then(|| path("collector.textfile.directory", "textfile")))
        .args(OFF_BY_DEFAULT.map(|it| format!("--collector.{it}")))
        .args(flags)
        .start();
    let (status, text) = get(running.address(), "/metrics").unwrap();
    assert_eq!(status, 200);
    exposition::parse::text_strict(&text).unwrap();
    stable(&text, folder)
}

/// What reads files and is not switched on by itself.
const OFF_BY_DEFAULT: [&str; 17] = [
    "buddyinfo",
    "cgroup_units",
    "cgroups",
    "cpu_vulnerabilities",
    "drbd",
    "interrupts",
    "ksmd",
    "lnstat",
    "meminfo_numa",
    "mountstats",
    "processes",
    "slabinfo",
    "softirqs",
    "sysctl",
    "xfrm",
    "zoneinfo",
    "bcache.priorityStats",
];

fn stable(text: &str, folder: &Path) -> String {
    const VARY: [&str; 3] = [
        "node_exporter_build_info",
        "node_time_seconds",
        "node_time_zone_offset_seconds",
    ];
    // What statfs says of the disk on which the fixture lies, and when the fixture was checked out.
    const MASKED: [&str; 6] = [
        "node_filesystem_size_bytes",
        "node_filesystem_free_bytes",
        "node_filesystem_avail_bytes",
        "node_filesystem_files",
        "node_filesystem_files_free",
        "node_textfile_mtime_seconds",
    ];
    let mut out = String::new();
    for line in text.lines() {
        let name = line.split(['{', ' ']).next().unwrap();
        if VARY
            .iter()
            .any(|it| line.split(' ').any(|word| word == *it) || name == *it)
        {
            continue;
        }
        let line = if MASKED.contains(&name) || name == "node_scrape_collector_duration_seconds" {
            format!("{} <varies>", line.rsplit_once(' ').unwrap().0)
        } else {
            line.to_owned()
        };
        out.push_str(&line.replace(&folder.display().to_string(), ""));
        out.push('\n');
    }
    out
}

fn check(fixture: &str, flags: &[&str], name: &str) {
    golden::check(
        format!("node-exporter/tests/golden/{name}.prom"),
        &scrape(fixture, flags),
    );
}

#[test]
fn virtual_machine() {
    check("linux-6.18-vm", &[], "linux-6.18-vm");
}

#[test]
fn ec2_with_nvme() {
    check("linux-5.10-ec2-nvme", &[], "linux-5.10-ec2-nvme");
}

#[test]
fn bare_metal() {
    check("linux-6.1-metal", &[], "linux-6.1-metal");
}

#[test]
fn storage_and_network_services() {
    let flags = [
        "--collector.sysctl.include=fs.file-nr",
        "--collector.sysctl.include=fs.file-nr:total,current,max",
        "--collector.sysctl.include=kernel.threads-max",
        "--collector.sysctl.include-info=kernel.seccomp.actions_avail",
    ];
    check("linux-6.12-storage", &flags, "linux-6.12-storage");
}

#[test]
fn every_switch() {
    let flags = [
        "--collector.cpu.info.flags-include=^(aes|avx.?)$",
        "--collector.cpu.info.bugs-include=^mds.*",
        "--no-collector.cpu.guest",
        "--collector.stat.softirq",
        "--collector.vmstat.fields=^nr_free",
        "--collector.diskstats.device-include=^nvme",
        "--collector.netdev.device-exclude=^lo$",
        "--collector.filesystem.mount-points-include=^/var",
        "--collector.arp.device-exclude=.",
        "--collector.netclass.ignored-devices=^lo$",
        "--collector.netclass.ignore-invalid-speed",
        "--collector.netstat.fields=^Tcp_",
        "--collector.interrupts.name-include=^NMI",
        "--no-collector.interrupts.include-zeros",
        "--collector.netdev.enable-detailed-metrics",
        "--collector.netdev.label-ifalias",
    ];
    check(
        "linux-5.10-ec2-nvme",
        &flags,
        "linux-5.10-ec2-nvme-switches",
    );
}

/// Nothing is there: every collector says so, and the scrape is whole.
#[test]
fn empty_host() {
    let folder = tempfile::tempdir().unwrap();
    let flags =
        ["proc", "sys", "root", "udev"].map(|it| folder.path().join(it).display().to_string());
    let running = Program::new("node-exporter")
        .args([
            "--web.listen-address=127.0.0.1:0".to_owned(),
            format!("--path.procfs={}", flags[0]),
            format!("--path.sysfs={}", flags[1]),
            format!("--path.rootfs={}", flags[2]),
            format!("--path.udev.data={}", flags[3]),
            "--no-collector.netdev.netlink".to_owned(),
        ])
        .start();
    let (status, text) = get(running.address(), "/metrics").unwrap();
    assert_eq!(status, 200);
    for (collector, success) in [
        ("cpu", 0),
        ("diskstats", 0),
        ("filesystem", 0),
        ("loadavg", 0),
        ("meminfo", 0),
        ("netdev", 0),
        ("os", 0),
        ("stat", 0),
        ("textfile", 1),
        ("time", 1),
        ("uname", 1),
        ("vmstat", 0),
    ] {
        let line =
            format!("node_scrape_collector_success{{collector=\"{collector}\"}} {success}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

/// The collectors of the files that are broken below.
const FILES: [&str; 8] = [
    "cpu",
    "diskstats",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "stat",
    "vmstat",
];

/// Files cut short, of rubbish, or of something else cost their own collector.
#[test]
fn broken_files() {
    for (file, text, collector) in [
        ("stat", "cpu0 1 2\n", "cpu"),
        ("stat", "ctxt\n", "stat"),
        ("stat", "\0\0\0", "stat"),
        ("meminfo", "MemTotal: 12", "none"),
        ("meminfo", "MemTotal: kB\n", "meminfo"),
        ("meminfo", "Mem-Total: 1 kB\n", "meminfo"),
        ("vmstat", "pgpgin\n", "vmstat"),
        ("loadavg", "0.1 0.2\n", "loadavg"),
        ("diskstats", "8 0 sda 1 2\n", "diskstats"),
        ("net/dev", "a\nb\neth0: 1 2 3\n", "netdev"),
        ("1/mountinfo", "22 1 254:0 / / rw\n", "filesystem"),
    ] {
        let source = tempfile::tempdir().unwrap();
        let source = source.path();
        testkit::tree::unpack(
            root().join(FIXTURES).join("linux-5.10-ec2-nvme.tree"),
            source,
        );
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path().join("proc");
        for name in [
            "stat",
            "meminfo",
            "vmstat",
            "loadavg",
            "diskstats",
            "net/dev",
            "1/mountinfo",
        ] {
            let target = proc.join(name);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(source.join("proc").join(name), target).unwrap();
        }
        std::fs::write(proc.join(file), text).unwrap();
        let running = Program::new("node-exporter")
            .args([
                "--web.listen-address=127.0.0.1:0".to_owned(),
                "--collector.disable-defaults".to_owned(),
                "--no-collector.netdev.netlink".to_owned(),
                format!("--path.procfs={}", proc.display()),
                format!("--path.rootfs={}", source.join("root").display()),
            ])
            .args(FILES.map(|it| format!("--collector.{it}")))
            .start();
        let (status, text) = get(running.address(), "/metrics").unwrap();
        assert_eq!(status, 200);
        let failed: Vec<_> = text
            .lines()
            .filter_map(|it| {
                it.strip_prefix("node_scrape_collector_success{collector=\"")?
                    .strip_suffix("\"} 0")
            })
            .collect();
        let expect: Vec<_> = match collector {
            "none" => vec![],
            // The same file feeds both; only one of them minds what is wrong here.
            "cpu" => vec!["cpu", "stat"],
            "stat" => vec!["cpu", "stat"],
            other => vec![other],
        };
        assert_eq!(failed, expect, "{file}: {text}");
        let line = expect
            .first()
            .map(|it| running.line(&format!("collector={it}")));
        assert!(
            line.is_none_or(|it| it.contains("level=WARN") && it.contains(file)),
            "{}",
            running.log()
        );
    }
}

/// What public dashboards and alert rules query comes out of one of the machines.
#[test]
fn names_that_others_query() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let catalogue = read("node-exporter/metrics.tsv");
    let mut known: BTreeSet<&str> = catalogue
        .lines()
        .filter_map(|it| it.split('\t').next())
        .collect();
    let goldens = [
        "linux-6.18-vm",
        "linux-5.10-ec2-nvme",
        "linux-5.10-ec2-nvme-switches",
        "linux-6.1-metal",
        "linux-6.12-storage",
    ];
    let goldens = goldens.map(|it| read(&format!("node-exporter/tests/golden/{it}.prom")));
    let samples = goldens.iter().flat_map(|it| it.lines());
    known.extend(samples.filter_map(|it| it.split(['{', ' ']).next()));
    let names = read("node-exporter/tests/public-names.txt");
    let names = names.lines().filter(|it| !it.starts_with('#'));
    let missing: Vec<_> = names.filter(|it| !known.contains(it)).collect();
    assert_eq!(missing, [""; 0]);
}
