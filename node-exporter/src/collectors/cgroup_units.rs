//! `node_cgroup_*`: what systemd's units and containers use, from their control groups of version 2 (kernel,
//! `admin-guide/cgroup-v2.rst`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, counter, gauge};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::value,
    host::{Host, HostError, float, parse_error, unsigned},
};

pub(super) const ENTRY: Entry = Entry {
    name: "cgroup_units",
    default: false,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of units and containers to include (mutually exclusive to name-exclude)",
        );
        value(
            command,
            FILTER.exclude,
            false,
            "Regexp of units and containers to exclude (mutually exclusive to name-include)",
        )
    },
    make: |setup| {
        Ok(Box::new(Units {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
        }))
    },
    descs: &DESCS,
};

const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.cgroup_units.name-exclude",
    include: "collector.cgroup_units.name-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};

const LABELS: &[&str] = &["cgroup", "name"];
const CPU: Desc = counter(
    "node_cgroup_cpu_seconds_total",
    "Seconds of processor time that the group used, by mode.",
)
.labels(&["cgroup", "name", "mode"]);
const PERIODS: Desc = counter(
    "node_cgroup_cpu_periods_total",
    "Periods in which the group could have been throttled.",
)
.labels(LABELS);
const THROTTLED_PERIODS: Desc = counter(
    "node_cgroup_cpu_throttled_periods_total",
    "Periods in which the group was throttled.",
)
.labels(LABELS);
const THROTTLED: Desc = counter(
    "node_cgroup_cpu_throttled_seconds_total",
    "Seconds for which the group was throttled.",
)
.labels(LABELS);
const MEMORY: Desc = gauge(
    "node_cgroup_memory_bytes",
    "Memory that the group uses, the page cache's share with it.",
)
.labels(LABELS);
const MEMORY_MAX: Desc = gauge(
    "node_cgroup_memory_max_bytes",
    "Memory that the group may use; not there when there is no limit.",
)
.labels(LABELS);
const MEMORY_STAT: Desc = gauge(
    "node_cgroup_memory_stat_bytes",
    "Memory that the group uses, by kind.",
)
.labels(&["cgroup", "name", "kind"]);
const MEMORY_EVENTS: Desc = counter(
    "node_cgroup_memory_events_total",
    "Times at which the group came to a limit of memory; oom_kill are processes that were killed.",
)
.labels(&["cgroup", "name", "event"]);
const READ: Desc = counter(
    "node_cgroup_io_read_bytes_total",
    "Bytes that the group read.",
)
.labels(&["cgroup", "name", "device"]);
const WRITTEN: Desc = counter(
    "node_cgroup_io_written_bytes_total",
    "Bytes that the group wrote.",
)
.labels(&["cgroup", "name", "device"]);
const READS: Desc = counter("node_cgroup_io_reads_total", "Reads of the group.")
    .labels(&["cgroup", "name", "device"]);
const WRITES: Desc = counter("node_cgroup_io_writes_total", "Writes of the group.")
    .labels(&["cgroup", "name", "device"]);
const PIDS: Desc = gauge("node_cgroup_pids", "Processes and threads in the group.").labels(LABELS);
const PIDS_MAX: Desc = gauge(
    "node_cgroup_pids_max",
    "Processes and threads that the group may have; not there when there is no limit.",
)
.labels(LABELS);
const DESCS: [Desc; 14] = [
    CPU,
    PERIODS,
    THROTTLED_PERIODS,
    THROTTLED,
    MEMORY,
    MEMORY_MAX,
    MEMORY_STAT,
    MEMORY_EVENTS,
    READ,
    WRITTEN,
    READS,
    WRITES,
    PIDS,
    PIDS_MAX,
];
/// What is shown of `memory.stat`.
const KINDS: [&str; 5] = ["anon", "file", "kernel", "shmem", "slab"];

/// Units are at most so deep in slices; containers in them.
const MAX_DEPTH: usize = 8;
/// More groups than any host has that is of use to look at one by one.
const MAX_GROUPS: usize = 2000;

struct Units {
    host: Arc<Host>,
    filter: Filter,
}

impl Collector for Units {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let root = self.host.sys("fs/cgroup");
        // Only version 2 has this file; on a host that has both it is below.
        let root = match self.host.maybe(&root.join("cgroup.controllers"))? {
            Some(_) => root,
            None => root.join("unified"),
        };
        self.host.read_once(&root.join("cgroup.controllers"))?;
        let mut families = Families(DESCS.iter().map(Family::of).collect());
        let mut groups = Vec::new();
        find(&self.host, &root, "", 0, &mut groups);
        for (path, cgroup, name) in groups {
            if self.filter.ignores(&name) {
                continue;
            }
            match self.group(&path, [&cgroup, &name], &mut families) {
                Ok(()) => {}
                // It ended meanwhile.
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error.into()),
            }
        }
        out.extend(families.0);
        Ok(())
    }
}

/// Groups of units and containers below a folder: where they are, what they are called from the root, and their names.
fn find(
    host: &Host,
    folder: &Path,
    parent: &str,
    depth: usize,
    found: &mut Vec<(PathBuf, String, String)>,
) {
    // A group that ends while it is looked at has nothing below it.
    for child in host.folders(folder).unwrap_or_default() {
        if found.len() >= MAX_GROUPS {
            return;
        }
        let path = folder.join(&child);
        let cgroup = format!("{parent}/{child}");
        if let Some(name) = name(&cgroup, &child) {
            found.push((path.clone(), cgroup.clone(), name));
        }
        if depth < MAX_DEPTH {
            find(host, &path, &cgroup, depth + 1, found);
        }
    }
}

/// A unit's name, or a container's: `docker-<id>.scope` and `/docker/<id>` are the container's id, cut to the twelve digits that
/// `docker ps` shows.
fn name(cgroup: &str, child: &str) -> Option<String> {
    let id = |text: &str| {
        let hex = text.len() >= 32 && text.bytes().all(|it| it.is_ascii_hexdigit());
        hex.then(|| text.get(..12).unwrap_or(text).to_owned())
    };
    if let Some(scope) = child.strip_suffix(".scope") {
        let container = scope.rsplit_once('-').and_then(|(_, it)| id(it));
        return Some(container.unwrap_or_else(|| child.to_owned()));
    }
    if child.ends_with(".service") {
        return Some(child.to_owned());
    }
    let of_a_runtime = ["/docker/", "/kubepods", "/lxc/", "/machine"]
        .iter()
        .any(|it| cgroup.contains(it));
    id(child).filter(|_| of_a_runtime)
}

struct Families(Vec<Family>);

impl Families {
    fn push(&mut self, desc: &Desc, [cgroup, name]: [&str; 2], more: Option<&str>, value: f64) {
        if let Some(family) = self.0.iter_mut().find(|it| it.name() == desc.name) {
            match more {
                Some(more) => family.push(&[cgroup, name, more], value),
                None => family.push(&[cgroup, name], value),
            }
        }
    }
}

impl Units {
    fn group(
        &self,
        path: &Path,
        labels: [&str; 2],
        families: &mut Families,
    ) -> Result<(), HostError> {
        for (key, value) in self.pairs(&path.join("cpu.stat"))? {
            let (desc, mode, unit) = match key.as_str() {
                "user_usec" => (&CPU, Some("user"), 1e6),
                "system_usec" => (&CPU, Some("system"), 1e6),
                "nr_periods" => (&PERIODS, None, 1.0),
                "nr_throttled" => (&THROTTLED_PERIODS, None, 1.0),
                "throttled_usec" => (&THROTTLED, None, 1e6),
                _ => continue,
            };
            families.push(desc, labels, mode, float(value) / unit);
        }
        for (desc, file) in [
            (&MEMORY, "memory.current"),
            (&MEMORY_MAX, "memory.max"),
            (&PIDS, "pids.current"),
            (&PIDS_MAX, "pids.max"),
        ] {
            let path = path.join(file);
            // A controller that is not on for this group has no files.
            match self.once(&path)?.as_deref().map(str::trim) {
                None | Some("max") => {}
                Some(text) => {
                    let value = unsigned(text).ok_or_else(|| parse_error(&path, text))?;
                    families.push(desc, labels, None, value);
                }
            }
        }
        for (key, value) in self.pairs(&path.join("memory.stat"))? {
            if KINDS.contains(&key.as_str()) {
                families.push(&MEMORY_STAT, labels, Some(&key), float(value));
            }
        }
        for (key, value) in self.pairs(&path.join("memory.events"))? {
            families.push(&MEMORY_EVENTS, labels, Some(&key), float(value));
        }
        // `259:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`
        let text = self.once(&path.join("io.stat"))?.unwrap_or_default();
        for line in text.lines() {
            let mut fields = line.split_ascii_whitespace();
            let device = self.device(fields.next().unwrap_or_default());
            for (key, value) in fields.filter_map(|it| it.split_once('=')) {
                let desc = match key {
                    "rbytes" => &READ,
                    "wbytes" => &WRITTEN,
                    "rios" => &READS,
                    "wios" => &WRITES,
                    _ => continue,
                };
                let value =
                    unsigned(value).ok_or_else(|| parse_error(&path.join("io.stat"), line))?;
                families.push(desc, labels, Some(&device), value);
            }
        }
        Ok(())
    }

    /// `key number` lines of a file that may not be there.
    fn pairs(&self, path: &Path) -> Result<Vec<(String, u64)>, HostError> {
        let text = self.once(path)?.unwrap_or_default();
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        };
        text.lines()
            .map(|line| pair(line).ok_or_else(|| parse_error(path, line)))
            .collect()
    }

    fn once(&self, path: &Path) -> Result<Option<String>, HostError> {
        match self.host.read_once(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The name of a device of these numbers, or the numbers.
    fn device(&self, numbers: &str) -> String {
        let link = std::fs::read_link(self.host.sys("dev/block").join(numbers)).ok();
        let name = link
            .as_deref()
            .and_then(Path::file_name)
            .map(|it| it.to_string_lossy().into_owned());
        name.unwrap_or_else(|| numbers.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for (cgroup, expect) in [
            ("/system.slice/ssh.service".to_owned(), Some("ssh.service")),
            (
                format!("/system.slice/docker-{id}.scope"),
                Some("0123456789ab"),
            ),
            (format!("/docker/{id}"), Some("0123456789ab")),
            (format!("/other/{id}"), None),
            (
                "/user.slice/session-3.scope".to_owned(),
                Some("session-3.scope"),
            ),
            ("/system.slice".to_owned(), None),
        ] {
            let child = cgroup.rsplit('/').next().unwrap();
            assert_eq!(name(&cgroup, child).as_deref(), expect, "{cgroup}");
        }
    }
}
