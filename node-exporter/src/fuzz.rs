//! What the fuzz targets call, and the tests that need no fuzzer: files, messages and pages that are not as they should be.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests fail by panics"
)]

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use clap::{CommandFactory, FromArgMatches};
use daemon::{Collector, Scrape};
use exposition::{Format, gather, parse, write};

use crate::{
    collectors::{ALL, make},
    flags::Flags,
};

/// The machines of which there is a tree of files.
pub const TREES: [&str; 4] = [
    "linux-6.18-vm",
    "linux-5.10-ec2-nvme",
    "linux-6.1-metal",
    "linux-6.12-storage",
];

/// A machine's files in a folder of its own, and the collectors that read them.
pub struct Machine {
    folder: tempfile::TempDir,
    files: BTreeMap<String, String>,
    /// With its source.
    collectors: Vec<(Box<dyn Collector>, String)>,
    /// The collectors that may read a file, by their place.
    concerned: BTreeMap<String, Vec<usize>>,
}

impl Machine {
    /// Unpacks the tree of a machine in a folder below this one.
    #[must_use]
    pub fn open(tree: &str, below: &Path) -> Self {
        let path = testkit::root().join(format!("node-exporter/tests/fixtures/{tree}.tree"));
        let folder = tempfile::tempdir_in(below).unwrap();
        testkit::tree::unpack(&path, folder.path());
        let collectors = of_files(folder.path()).into_iter();
        let collectors: Vec<_> = collectors.map(|it| (source(it.name()), it)).collect();
        let text = fs::read_to_string(&path).unwrap();
        let mut files = BTreeMap::new();
        let mut concerned = BTreeMap::new();
        for (file, text) in testkit::tree::files(&text) {
            if file.ends_with(".keep") {
                continue;
            }
            let all = collectors.iter().enumerate();
            let some = all.filter(|(_, (source, it))| {
                reads(source, file) || (it.name() == "textfile" && file.starts_with("textfile/"))
            });
            concerned.insert(file.to_owned(), some.map(|it| it.0).collect());
            files.insert(file.to_owned(), text);
        }
        let collectors = collectors.into_iter().map(|(source, it)| (it, source));
        Self {
            folder,
            files,
            collectors: collectors.collect(),
            concerned,
        }
    }

    /// The files, and what is in them.
    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Lets the collectors that read a file find other bytes in it, or no file; gives how many there are. What was there is there again
    /// afterwards.
    ///
    /// # Panics
    /// When one of them does, or shows what Prometheus would not take.
    pub fn with(&self, file: &str, bytes: Option<&[u8]>) -> usize {
        let Some(good) = self.files.get(file) else {
            return 0;
        };
        let at = self.folder.path().join(file);
        match bytes {
            None => fs::remove_file(&at).unwrap(),
            Some(bytes) => fs::write(&at, bytes).unwrap(),
        }
        let concerned = self.concerned.get(file).map_or(&[][..], Vec::as_slice);
        let collectors = concerned.iter().filter_map(|it| self.collectors.get(*it));
        for (collector, _) in collectors {
            let text = bytes.map(String::from_utf8_lossy);
            check(&**collector, file, text.as_deref());
        }
        fs::write(&at, good).unwrap();
        concerned.len()
    }
}

fn source(collector: &str) -> String {
    let source = testkit::root().join(format!("node-exporter/src/collectors/{collector}.rs"));
    fs::read_to_string(source).unwrap()
}

/// Every collector but those that ask the kernel and not files.
fn of_files(folder: &Path) -> Vec<Box<dyn Collector>> {
    let path = |flag: &str, part: &str| format!("--path.{flag}={}", folder.join(part).display());
    let mut arguments = vec![
        path("procfs", "proc"),
        path("sysfs", "sys"),
        path("rootfs", "root"),
        path("udev.data", "udev"),
        path("collector.textfile.directory", "textfile").replacen("--path.", "--", 1),
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

/// The kernel's messages: cut, or with other lengths in them, they end there.
#[cfg(feature = "fuzzing")]
pub fn message(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((_, body, next)) = crate::netlink::message(rest) {
        assert!(next.len() < rest.len(), "a message without an end");
        rest = next;
        crate::netlink::link(body);
        crate::collectors::read_message(body);
    }
    crate::collectors::read_message(bytes);
}

/// A driver's answers to ethtool's questions, taken from these bytes one after the other.
#[cfg(feature = "fuzzing")]
pub fn driver(bytes: &[u8]) {
    struct Script(std::sync::Mutex<Vec<u8>>);
    impl crate::ethtool::Ethtool for Script {
        fn ask(&self, _: &str, bytes: &mut [u8]) -> std::io::Result<()> {
            let mut left = self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let length = left.len().min(bytes.len());
            for (to, from) in bytes.iter_mut().zip(left.drain(..length)) {
                *to = from;
            }
            Ok(())
        }
    }
    let script = Script(std::sync::Mutex::new(bytes.to_vec()));
    crate::ethtool::statistics(&script, "eth0").ok();
    crate::ethtool::link(&script, "eth0").ok();
}

/// A volume's page: any that has the right head is shown well.
#[cfg(feature = "fuzzing")]
pub fn page(bytes: &[u8]) {
    let mut page = bytes.to_vec();
    page.resize(crate::ebs::PAGE, 0);
    if let Some(head) = page.get_mut(..4) {
        head.copy_from_slice(&crate::ebs::MAGIC.to_ne_bytes());
    }
    crate::ebs::parse(&page).unwrap();
}

/// Code that stands for a regular expression, beside the expression.
#[cfg(feature = "fuzzing")]
#[must_use]
pub fn defaults() -> Vec<(regex::Regex, fn(&str) -> bool)> {
    let all = crate::collectors::DEFAULTS.iter();
    all.map(|it| {
        (
            regex::Regex::new(it.expression).unwrap(),
            it.matches.unwrap(),
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Machine, TREES};

    /// Whatever is in a file, and wherever it ends, collectors say so or leave it out: none panics, and what they show is
    /// well-formed. Every file of every tree is missing once, cut in the middle once, and rubbish in several ways.
    #[test]
    fn no_file_breaks_a_collector() {
        let mut broken = 0;
        for tree in TREES {
            let machine = Machine::open(tree, &std::env::temp_dir());
            for (file, good) in machine.files() {
                let middle = good.chars().count() / 2;
                let half = good.char_indices().nth(middle).map_or(0, |it| it.0);
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
                for text in bad {
                    broken += machine.with(file, text.as_deref().map(str::as_bytes));
                }
            }
        }
        assert!(broken > 5000, "{broken}");
    }
}
