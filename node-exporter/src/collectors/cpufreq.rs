//! `node_cpu_frequency_*` and `node_cpu_scaling_*`, from `/sys/devices/system/cpu/cpu*/cpufreq` (kernel, `admin-guide/pm/cpufreq.rst`; in kHz).

use std::collections::BTreeSet;

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, HostError, cpu_list};

pub(super) const ENTRY: Entry = Entry {
    name: "cpufreq",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        FREQUENCIES[0].1,
        FREQUENCIES[1].1,
        FREQUENCIES[2].1,
        FREQUENCIES[3].1,
        FREQUENCIES[4].1,
        FREQUENCIES[5].1,
        FREQUENCIES[6].1,
        GOVERNOR,
    ],
};

const fn frequency(name: &'static str, help: &'static str) -> Desc {
    gauge(name, help).labels(&["cpu"])
}

const FREQUENCIES: [(&str, Desc); 7] = [
    (
        "cpuinfo_cur_freq",
        frequency(
            "node_cpu_frequency_hertz",
            "Current CPU thread frequency in hertz.",
        ),
    ),
    (
        "cpuinfo_avg_freq",
        frequency(
            "node_cpu_frequency_avg_hertz",
            "Average CPU thread frequency in hertz.",
        ),
    ),
    (
        "cpuinfo_min_freq",
        frequency(
            "node_cpu_frequency_min_hertz",
            "Minimum CPU thread frequency in hertz.",
        ),
    ),
    (
        "cpuinfo_max_freq",
        frequency(
            "node_cpu_frequency_max_hertz",
            "Maximum CPU thread frequency in hertz.",
        ),
    ),
    (
        "scaling_cur_freq",
        frequency(
            "node_cpu_scaling_frequency_hertz",
            "Current scaled CPU thread frequency in hertz.",
        ),
    ),
    (
        "scaling_min_freq",
        frequency(
            "node_cpu_scaling_frequency_min_hertz",
            "Minimum scaled CPU thread frequency in hertz.",
        ),
    ),
    (
        "scaling_max_freq",
        frequency(
            "node_cpu_scaling_frequency_max_hertz",
            "Maximum scaled CPU thread frequency in hertz.",
        ),
    ),
];
const GOVERNOR: Desc = gauge(
    "node_cpu_scaling_governor",
    "Current enabled CPU frequency governor.",
)
.labels(&["cpu", "governor"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("devices/system/cpu");
    let offline = host.text(&folder.join("offline"))?;
    let offline: BTreeSet<u64> = cpu_list(&offline).into_iter().collect();
    let mut families: Vec<_> = FREQUENCIES
        .iter()
        .map(|(_, desc)| Family::of(desc))
        .collect();
    let mut governors = Family::of(&GOVERNOR);
    for (cpu, path) in host.numbered(&folder, "cpu") {
        let path = path.join("cpufreq");
        if offline.contains(&cpu) || !path.exists() {
            continue;
        }
        let cpu = cpu.to_string();
        for (family, (file, _)) in families.iter_mut().zip(&FREQUENCIES) {
            match host.maybe_count(&path.join(file)) {
                Ok(Some(kilohertz)) => family.push(&[&cpu], kilohertz * 1000.0),
                // Some drivers say `<unknown>` when the firmware does not tell.
                Ok(None) | Err(HostError::Parse { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let governor = host
            .maybe(&path.join("scaling_governor"))?
            .unwrap_or_default();
        if governor.is_empty() {
            continue;
        }
        let available = host.maybe(&path.join("scaling_available_governors"))?;
        for name in available.unwrap_or_default().split(' ') {
            governors.push(&[&cpu, name], f64::from(u8::from(name == governor)));
        }
    }
    out.extend(families);
    out.push(governors);
    Ok(())
}
