//! `node_hwmon_*`: temperatures, fans, voltages, from `/sys/class/hwmon` (kernel, `hwmon/sysfs-interface.rst`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, Named, gauge, labels};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::value,
    host::{Host, HostError},
};

pub(super) const ENTRY: Entry = Entry {
    name: "hwmon",
    default: true,
    flags: |command| {
        let command = value(
            command,
            CHIPS.include,
            false,
            "Regexp of hwmon chip to include (mutually exclusive to chip-exclude)",
        );
        let command = value(
            command,
            CHIPS.exclude,
            false,
            "Regexp of hwmon chip to exclude (mutually exclusive to chip-include)",
        );
        let command = value(
            command,
            SENSORS.include,
            false,
            "Regexp of hwmon sensor, as chip;sensor, to include (mutually exclusive to sensor-exclude)",
        );
        value(
            command,
            SENSORS.exclude,
            false,
            "Regexp of hwmon sensor, as chip;sensor, to exclude (mutually exclusive to sensor-include)",
        )
    },
    make: |setup| {
        Ok(Box::new(Hwmon {
            host: Arc::clone(&setup.host),
            chips: CHIPS.read(setup.matches)?,
            sensors: SENSORS.read(setup.matches)?,
        }))
    },
    // The others' names are the sensors'.
    descs: &[NAMES],
};

const CHIPS: FilterFlags = FilterFlags {
    exclude: "collector.hwmon.chip-exclude",
    include: "collector.hwmon.chip-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};
const SENSORS: FilterFlags = FilterFlags {
    exclude: "collector.hwmon.sensor-exclude",
    include: "collector.hwmon.sensor-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};

const NAMES: Desc = gauge(
    "node_hwmon_chip_names",
    "Annotation metric for human-readable chip names",
)
.labels(&["chip", "chip_name"]);

/// What a file is of is the start of its name.
const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// A sensor's files by what of it they say: `input`, `max`, `alarm` and so on.
type Sensor = BTreeMap<String, String>;

struct Hwmon {
    host: Arc<Host>,
    chips: Filter,
    sensors: Filter,
}

impl Collector for Hwmon {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let folder = self.host.sys("class/hwmon");
        let mut chips = Vec::new();
        for name in self.host.names(&folder)? {
            let path = folder.join(&name);
            if !path.is_dir() {
                continue;
            }
            let kind = self.host.text(&path.join("name")).unwrap_or_default();
            if let Some(chip) = chip_name(&path, &kind) {
                chips.push((path, chip, kind));
            }
        }
        let mut names = Family::of(&NAMES);
        let mut named = Named::default();
        let mut last = Ok(());
        for (path, base, kind) in &chips {
            let chip = unique(&chips, path, base, kind);
            if self.chips.ignores(&chip) {
                continue;
            }
            let readable = cleaned(kind);
            match self.read(path) {
                Ok(sensors) => {
                    if !readable.is_empty() {
                        names.push(&[&chip, &readable], 1.0);
                    }
                    for (name, sensor) in sensors {
                        if !self.sensors.ignores(&format!("{chip};{name}")) {
                            show(&chip, &name, &sensor, &mut named);
                        }
                    }
                }
                // The others are shown all the same.
                Err(error) => last = Err(error.into()),
            }
        }
        out.push(names);
        out.extend(named.families());
        last
    }
}

impl Hwmon {
    fn read(&self, path: &Path) -> Result<BTreeMap<String, Sensor>, HostError> {
        let mut sensors = BTreeMap::<String, Sensor>::new();
        // Older drivers have their files at the device.
        for folder in [path.to_owned(), path.join("device")] {
            let files = match self.host.names(&folder) {
                Ok(files) => files,
                Err(error) if folder != path && error.is_absent() => continue,
                Err(error) => return Err(error),
            };
            for file in files {
                let Some((kind, number, property)) = split(&file) else {
                    continue;
                };
                if !KINDS.contains(&kind) {
                    continue;
                }
                // A sensor that is asleep, or broken, has no value.
                if let Ok(text) = self.host.read(&folder.join(&file)) {
                    let sensor = sensors.entry(format!("{kind}{number}")).or_default();
                    sensor.insert(property.to_owned(), text.trim_matches('\n').to_owned());
                }
            }
        }
        Ok(sensors)
    }
}

/// `temp1_max_alarm` is of `temp`, 1, and says `max_alarm`.
fn split(file: &str) -> Option<(&str, u64, &str)> {
    let at = file.find(|it: char| it.is_ascii_digit());
    let Some(at) = at else {
        // `beep_enable` and `update_interval` have no number.
        return Some(match KINDS.iter().find(|it| **it == file) {
            Some(_) => (file, 0, ""),
            None => match file.split_once('_') {
                Some((kind, property)) => (kind, 0, property),
                None => (file, 0, ""),
            },
        });
    };
    let (kind, rest) = file
        .split_at_checked(at)
        .filter(|(kind, _)| !kind.is_empty())?;
    let end = rest
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(rest.len());
    let (number, rest) = rest.split_at_checked(end)?;
    let property = match rest {
        "" => "",
        rest => rest.strip_prefix('_').filter(|it| !it.is_empty())?,
    };
    Some((kind, number.parse().ok()?, property))
}

/// A chip is called by its bus and device, or by what its driver says, or by its number.
fn chip_name(path: &Path, kind: &str) -> Option<String> {
    if let Ok(device) = fs::canonicalize(path.join("device")) {
        let part = |it: Option<&Path>| {
            let name = it.and_then(Path::file_name).map(|it| it.to_string_lossy());
            cleaned(&name.unwrap_or_default())
        };
        let (bus, name) = (part(device.parent()), part(Some(&device)));
        match (bus.is_empty(), name.is_empty()) {
            (false, false) => return Some(format!("{bus}_{name}")),
            (true, false) => return Some(name),
            (_, true) => {}
        }
    }
    let kind = cleaned(kind);
    if !kind.is_empty() {
        return Some(kind);
    }
    let real = fs::canonicalize(path).ok()?;
    let name = cleaned(&real.file_name()?.to_string_lossy());
    (!name.is_empty()).then_some(name)
}

/// Of several chips at one device each gets its driver's name behind it, or its number when that is the same too.
fn unique(chips: &[(PathBuf, String, String)], path: &Path, base: &str, kind: &str) -> String {
    let same = chips.iter().filter(|(_, its, _)| its == base);
    if same.clone().count() == 1 {
        return base.to_owned();
    }
    let suffix = cleaned(kind);
    let taken = same.filter(|(_, _, its)| its == kind).count() > 1;
    if suffix.is_empty() || taken {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return format!("{base}_{}", cleaned(&name));
    }
    format!("{base}_{suffix}")
}

/// Small letters, digits, and `_` for everything else, but not at the ends.
fn cleaned(name: &str) -> String {
    let good = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == ':' || it == '_';
    let name: String = name
        .to_lowercase()
        .chars()
        .map(|it| if good(it) { it } else { '_' })
        .collect();
    name.trim_matches('_').to_owned()
}

fn show(chip: &str, name: &str, sensor: &Sensor, named: &mut Named) {
    let Some((kind, _, _)) = split(name) else {
        return;
    };
    let both = || labels([("chip", chip), ("sensor", name)]);
    if let Some(label) = sensor.get("label") {
        named.push(
            "node_hwmon_sensor_label",
            Kind::Gauge,
            || "Label for given chip and sensor".to_owned(),
            labels([("chip", chip), ("sensor", name), ("label", label)]),
            1.0,
        );
    }
    let single = sensor.get("").map_or("", String::as_str);
    match kind_of(name) {
        "beep_enable" => {
            let on = f64::from(u8::from(single == "1"));
            let help = || "Hardware beep enabled".to_owned();
            return named.push("node_hwmon_beep_enabled", Kind::Gauge, help, both(), on);
        }
        "vrm" => {
            if let Ok(version) = single.parse() {
                let help = || "Hardware voltage regulator".to_owned();
                let name = "node_hwmon_voltage_regulator_version";
                named.push(name, Kind::Gauge, help, both(), version);
            }
            return;
        }
        "update_interval" => {
            if let Ok(milliseconds) = single.parse::<f64>() {
                let help = || "Hardware monitor update interval".to_owned();
                let name = "node_hwmon_update_interval_seconds";
                named.push(name, Kind::Gauge, help, both(), milliseconds * 0.001);
            }
            return;
        }
        _ => {}
    }
    for (element, text) in sensor {
        if element == "label" {
            continue;
        }
        let Ok(value) = text.parse::<f64>() else {
            continue;
        };
        let label = sensor.get("label");
        if kind == "freq" && element == "input" {
            // Shown by what it is the frequency of.
            if let Some(label) = label {
                named.push(
                    &format!("node_hwmon_{}_freq_mhz", stem(kind, element, sensor)),
                    Kind::Gauge,
                    || "Hardware monitor for GPU frequency in MHz".to_owned(),
                    labels([("chip", chip), ("sensor", &cleaned(label))]),
                    value / 1_000_000.0,
                );
            }
            continue;
        }
        let meaning = meaning(kind, element);
        let name = format!(
            "node_hwmon_{}{}",
            stem(kind, element, sensor),
            meaning.suffix
        );
        let value = match meaning.unit {
            Unit::One => value,
            Unit::Milli => value * 0.001,
            Unit::Micro => value / 1_000_000.0,
        };
        named.push(&name, meaning.kind, || meaning.help.clone(), both(), value);
    }
}

/// The kind of a sensor's name, of which some have a `0` behind that no file has.
fn kind_of(name: &str) -> &str {
    name.trim_end_matches(|it: char| it.is_ascii_digit())
}

/// `temp_max`, or `temp` for the value itself; but `temp_input` when there is a file without a property too.
fn stem(kind: &str, element: &str, sensor: &Sensor) -> String {
    match element {
        "input" if sensor.contains_key("") => format!("{kind}_input"),
        "input" | "" => kind.to_owned(),
        element => format!("{kind}_{}", cleaned(element)),
    }
}

enum Unit {
    One,
    Milli,
    Micro,
}

/// What a file says: the end of the metric's name, its unit and help.
struct Meaning {
    suffix: &'static str,
    unit: Unit,
    kind: Kind,
    help: String,
}

fn meaning(kind: &str, element: &str) -> Meaning {
    let (suffix, unit, help) = match (kind, element) {
        (_, "fault" | "alarm") => (
            "",
            Unit::One,
            format!("Hardware sensor {element} status ({kind})"),
        ),
        (_, "beep") => (
            "_enabled",
            Unit::One,
            "Hardware monitor sensor has beeping enabled".to_owned(),
        ),
        ("in" | "cpu", _) => (
            "_volts",
            Unit::Milli,
            format!("Hardware monitor for voltage ({element})"),
        ),
        ("temp", "") => (
            "_celsius",
            Unit::Milli,
            "Hardware monitor for temperature (input)".to_owned(),
        ),
        ("temp", element) if element != "type" => (
            "_celsius",
            Unit::Milli,
            format!("Hardware monitor for temperature ({element})"),
        ),
        ("curr", _) => (
            "_amps",
            Unit::Milli,
            format!("Hardware monitor for current ({element})"),
        ),
        ("energy", _) => (
            "_joule_total",
            Unit::Micro,
            format!("Hardware monitor for joules used so far ({element})"),
        ),
        ("power", "accuracy") => (
            "",
            Unit::Micro,
            "Hardware monitor power meter accuracy, as a ratio".to_owned(),
        ),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => (
            "_seconds",
            Unit::Milli,
            format!("Hardware monitor power usage update interval ({element})"),
        ),
        ("power", _) => (
            "_watt",
            Unit::Micro,
            format!("Hardware monitor for power usage in watts ({element})"),
        ),
        ("humidity", _) => (
            "",
            Unit::Micro,
            format!(
                "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) ({element})"
            ),
        ),
        ("fan", "input" | "min" | "max" | "target") => (
            "_rpm",
            Unit::One,
            format!("Hardware monitor for fan revolutions per minute ({element})"),
        ),
        _ => (
            "",
            Unit::One,
            format!("Hardware monitor {kind} element {element}"),
        ),
    };
    let counts = kind == "energy" && !matches!(element, "fault" | "alarm" | "beep");
    Meaning {
        suffix,
        unit,
        kind: if counts { Kind::Counter } else { Kind::Gauge },
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::{cleaned, split};

    #[test]
    fn files() {
        for (file, expect) in [
            ("temp1_input", Some(("temp", 1, "input"))),
            ("temp1_max_alarm", Some(("temp", 1, "max_alarm"))),
            ("pwm1", Some(("pwm", 1, ""))),
            ("beep_enable", Some(("beep_enable", 0, ""))),
            ("name", Some(("name", 0, ""))),
            ("power_input", Some(("power", 0, "input"))),
            ("1temp", None),
            ("temp1_", None),
            ("temp1x", None),
            ("temp99999999999999999999_input", None),
        ] {
            assert_eq!(split(file), expect, "{file}");
        }
    }

    #[test]
    fn names() {
        for (name, expect) in [
            ("Core-0", "core_0"),
            ("0000:00:1f.3", "0000:00:1f_3"),
            ("__", ""),
        ] {
            assert_eq!(cleaned(name), expect, "{name}");
        }
    }
}
