//! CPU time by mode from `/proc/stat`, throttling, isolation and on-line state from sysfs, and what `/proc/cpuinfo` says when asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};
use regex::Regex;

use super::Entry;
use crate::{
    filter::compile,
    flags::{given, switch, switched, value},
    host::{Host, HostError, cpu_list, float, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "cpu",
    default: true,
    flags: |command| {
        let command = switch(
            command,
            GUEST,
            "Show node_cpu_guest_seconds_total (default: on)",
        );
        let command = switch(command, INFO, "Show node_cpu_info");
        let command = value(
            command,
            FLAGS,
            false,
            "Regexp of CPU flags to show; implies collector.cpu.info",
        );
        value(
            command,
            BUGS,
            false,
            "Regexp of CPU bugs to show; implies collector.cpu.info",
        )
    },
    make: |setup| {
        let (flags, bugs) = (given(setup.matches, FLAGS), given(setup.matches, BUGS));
        let implied = flags.is_some() || bugs.is_some();
        Ok(Box::new(Cpu {
            host: Arc::clone(&setup.host),
            guest: switched(setup.matches, GUEST).unwrap_or(true),
            info: switched(setup.matches, INFO).unwrap_or(false) || implied,
            flags: compile(FLAGS, flags)?,
            bugs: compile(BUGS, bugs)?,
            frequency: setup.is_on(&super::cpufreq::ENTRY),
            seen: Mutex::default(),
        }))
    },
    descs: &[
        SECONDS,
        GUEST_SECONDS,
        CPU_INFO,
        FLAG_INFO,
        BUG_INFO,
        CORE_THROTTLES,
        PACKAGE_THROTTLES,
        ISOLATED,
        ONLINE,
    ],
};

const GUEST: &str = "collector.cpu.guest";
const INFO: &str = "collector.cpu.info";
const FLAGS: &str = "collector.cpu.info.flags-include";
const BUGS: &str = "collector.cpu.info.bugs-include";

const SECONDS: Desc = Desc::new(
    "node_cpu_seconds_total",
    Kind::Counter,
    "Seconds the CPUs spent in each mode.",
)
.labels(&["cpu", "mode"]);
const GUEST_SECONDS: Desc = Desc::new(
    "node_cpu_guest_seconds_total",
    Kind::Counter,
    "Seconds the CPUs spent in guests (VMs) for each mode.",
)
.labels(&["cpu", "mode"]);
const CPU_INFO: Desc = Desc::new(
    "node_cpu_info",
    Kind::Gauge,
    "CPU information from /proc/cpuinfo.",
)
.labels(&[
    "package",
    "core",
    "cpu",
    "vendor",
    "family",
    "model",
    "model_name",
    "microcode",
    "stepping",
    "cachesize",
]);
const FREQUENCY: Desc = Desc::new(
    "node_cpu_frequency_hertz",
    Kind::Gauge,
    "CPU frequency in hertz from /proc/cpuinfo.",
)
.labels(&["package", "core", "cpu"]);
const FLAG_INFO: Desc = Desc::new(
    "node_cpu_flag_info",
    Kind::Gauge,
    "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
)
.labels(&["flag"]);
const BUG_INFO: Desc = Desc::new(
    "node_cpu_bug_info",
    Kind::Gauge,
    "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.",
)
.labels(&["bug"]);
const CORE_THROTTLES: Desc = Desc::new(
    "node_cpu_core_throttles_total",
    Kind::Counter,
    "Number of times this CPU core has been throttled.",
)
.labels(&["package", "core"]);
const PACKAGE_THROTTLES: Desc = Desc::new(
    "node_cpu_package_throttles_total",
    Kind::Counter,
    "Number of times this CPU package has been throttled.",
)
.labels(&["package"]);
const ISOLATED: Desc = Desc::new(
    "node_cpu_isolated",
    Kind::Gauge,
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
)
.labels(&["cpu"]);
const ONLINE: Desc = Desc::new(
    "node_cpu_online",
    Kind::Gauge,
    "CPUs that are online and being scheduled.",
)
.labels(&["cpu"]);

/// The order of `/proc/stat` (proc(5)); the last two are the guests'.
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const IDLE: usize = 3;
/// `USER_HZ`: ticks a second in everything that the kernel shows, whatever its own tick is (time(7)).
const TICKS: f64 = 100.0;
/// When a CPU's idle time falls by this many seconds, it was taken out and put in again: it starts anew.
const JUMP_BACK: f64 = 3.0;

type Times = [f64; 10];

struct Cpu {
    host: Arc<Host>,
    guest: bool,
    info: bool,
    flags: Option<Regex>,
    bugs: Option<Regex>,
    /// Whether `/proc/cpuinfo`'s frequency is shown: with the collector that shows sysfs'.
    frequency: bool,
    /// The kernel's idle and iowait times sometimes fall a little (tickless CPUs); counters must not.
    seen: Mutex<BTreeMap<u64, Times>>,
}

impl Collector for Cpu {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        if self.info {
            self.collect_info(out)?;
        }
        let path = self.host.proc("stat");
        let text = self.host.read(&path)?;
        let fresh = parse_times(&text).map_err(|line| parse_error(&path, line))?;
        if fresh.is_empty() {
            return Err(parse_error(&path, "it has no line of a CPU").into());
        }
        self.write_times(fresh, out);
        self.collect_topology(out);
        Ok(())
    }
}

impl Cpu {
    fn write_times(&self, fresh: BTreeMap<u64, Times>, out: &mut Vec<Family>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut seconds, mut guests) = (Family::of(&SECONDS), Family::of(&GUEST_SECONDS));
        let mut next = BTreeMap::new();
        for (cpu, times) in fresh {
            let times = rising(seen.get(&cpu), times);
            let name = cpu.to_string();
            for (mode, time) in MODES.into_iter().zip(times) {
                seconds.push(&[&name, mode], time);
            }
            if self.guest {
                for (mode, time) in ["user", "nice"].into_iter().zip(times.into_iter().skip(8)) {
                    guests.push(&[&name, mode], time);
                }
            }
            next.insert(cpu, times);
        }
        *seen = next;
        out.extend([seconds, guests]);
    }

    fn collect_topology(&self, out: &mut Vec<Family>) {
        let folder = self.host.sys("devices/system/cpu");
        let cpus = self.host.numbered(&folder, "cpu");
        let (mut cores, mut packages) =
            (Family::of(&CORE_THROTTLES), Family::of(&PACKAGE_THROTTLES));
        let (mut seen_cores, mut seen_packages) = (BTreeSet::new(), BTreeSet::new());
        let mut online = Family::of(&ONLINE);
        let online_known = cpus
            .first()
            .is_some_and(|(_, path)| path.join("online").exists());
        for (cpu, path) in &cpus {
            if online_known {
                // The first CPU of many machines cannot be taken off line, and then has no such file.
                let state = self.host.number(&path.join("online"));
                online.push(
                    &[&cpu.to_string()],
                    if state == Some(1) { 1.0 } else { 0.0 },
                );
            }
            let number = |file: &str| self.host.number(&path.join(file));
            let package = number("topology/physical_package_id");
            let (Some(package), Some(core)) = (package, number("topology/core_id")) else {
                continue;
            };
            let names = (package.to_string(), core.to_string());
            if !seen_cores.contains(&(package, core))
                && let Some(count) = number("thermal_throttle/core_throttle_count")
            {
                seen_cores.insert((package, core));
                cores.push(&[&names.0, &names.1], float(count));
            }
            if !seen_packages.contains(&package)
                && let Some(count) = number("thermal_throttle/package_throttle_count")
            {
                seen_packages.insert(package);
                packages.push(&[&names.0], float(count));
            }
        }
        let mut isolated = Family::of(&ISOLATED);
        if let Ok(list) = self.host.read(&folder.join("isolated")) {
            for cpu in cpu_list(list.trim()) {
                isolated.push(&[&cpu.to_string()], 1.0);
            }
        }
        out.extend([cores, packages, online, isolated]);
    }

    fn collect_info(&self, out: &mut Vec<Family>) -> Result<(), HostError> {
        let text = self.host.read(&self.host.proc("cpuinfo"))?;
        let mut info = Family::of(&CPU_INFO);
        let mut frequencies = Family::of(&FREQUENCY);
        for (index, cpu) in text.split("\n\n").enumerate() {
            let fields: BTreeMap<&str, &str> = cpu
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(key, value)| (key.trim(), value.trim()))
                .collect();
            let get = |keys: [&str; 2]| {
                keys.iter()
                    .find_map(|it| fields.get(it))
                    .copied()
                    .unwrap_or("")
            };
            let number = get(["processor", "processor"]);
            if number.is_empty() {
                continue;
            }
            // The second name of each is what ARM calls it.
            info.push(
                &[
                    get(["physical id", ""]),
                    get(["core id", ""]),
                    number,
                    get(["vendor_id", "CPU implementer"]),
                    get(["cpu family", "CPU architecture"]),
                    get(["model", "CPU part"]),
                    get(["model name", "model name"]),
                    get(["microcode", ""]),
                    get(["stepping", "CPU revision"]),
                    get(["cache size", ""]),
                ],
                1.0,
            );
            if self.frequency {
                let megahertz: f64 = get(["cpu MHz", ""]).parse().unwrap_or_default();
                let labels = [get(["physical id", ""]), get(["core id", ""]), number];
                frequencies.push(&labels, megahertz * 1e6);
            }
            if index == 0 {
                out.push(chosen(
                    &FLAG_INFO,
                    self.flags.as_ref(),
                    get(["flags", "Features"]),
                ));
                out.push(chosen(&BUG_INFO, self.bugs.as_ref(), get(["bugs", ""])));
            }
        }
        out.extend([info, frequencies]);
        Ok(())
    }
}

fn chosen(desc: &Desc, wanted: Option<&Regex>, words: &str) -> Family {
    let mut family = Family::of(desc);
    if let Some(wanted) = wanted {
        for word in words
            .split_ascii_whitespace()
            .filter(|it| wanted.is_match(it))
        {
            family.push(&[word], 1.0);
        }
    }
    family
}

/// `cpu0 1 2 3 …` lines to seconds by CPU; the line that is wrong.
fn parse_times(text: &str) -> Result<BTreeMap<u64, Times>, &str> {
    let mut cpus = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some(number) = fields.next().and_then(|it| it.strip_prefix("cpu")) else {
            continue;
        };
        if number.is_empty() {
            continue;
        }
        let number = number.parse().map_err(|_error| line)?;
        let mut times = [0.0; 10];
        let mut count = 0;
        // Older kernels have fewer fields; the others stay 0.
        for (time, field) in times.iter_mut().zip(fields) {
            let ticks: u64 = field.parse().map_err(|_error| line)?;
            *time = float(ticks) / TICKS;
            count += 1;
        }
        if count < 4 {
            return Err(line);
        }
        cpus.insert(number, times);
    }
    Ok(cpus)
}

/// What a CPU's counters show after `seen`.
fn rising(seen: Option<&Times>, fresh: Times) -> Times {
    match seen {
        Some(seen) if seen[IDLE] - fresh[IDLE] < JUMP_BACK => {
            let mut times = fresh;
            for (time, before) in times.iter_mut().zip(seen) {
                *time = time.max(*before);
            }
            times
        }
        Some(_) | None => fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_times, rising};

    #[test]
    fn times() {
        let text =
            "cpu  9 9 9 9\ncpu0 100 200 300 400 500 600 700 800 900 1000\ncpu2 1 2 3 4\nintr 5\n";
        let found = parse_times(text).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&0, &2]);
        assert_eq!(
            found[&0],
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
        );
        assert_eq!(
            found[&2],
            [0.01, 0.02, 0.03, 0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        );
        for bad in [
            "cpux 1 2 3 4",
            "cpu0 1 2 3",
            "cpu0 1 2 3 -4",
            "cpu0 a b c d",
        ] {
            assert_eq!(parse_times(bad), Err(bad));
        }
    }

    #[test]
    fn counters_do_not_fall() {
        let seen = [10.0; 10];
        let mut fresh = [11.0; 10];
        fresh[3] = 9.0;
        let mut expect = [11.0; 10];
        expect[3] = 10.0;
        assert_eq!(rising(Some(&seen), fresh), expect);
        fresh[3] = 7.0;
        assert_eq!(rising(Some(&seen), fresh), fresh, "a hotplug starts anew");
        assert_eq!(rising(None, fresh), fresh);
    }
}
