//! `node_watchdog_*`, from `/sys/class/watchdog` (kernel, `sysfs-class-watchdog`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, integer, parse_error, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "watchdog",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        NUMBERS[0].1,
        NUMBERS[1].1,
        NUMBERS[2].1,
        NUMBERS[3].1,
        NUMBERS[4].1,
        NUMBERS[5].1,
        NUMBERS[6].1,
        INFO,
    ],
};

const fn number(name: &'static str, help: &'static str) -> Desc {
    gauge(name, help).labels(&["name"])
}

const NUMBERS: [(&str, Desc); 7] = [
    (
        "bootstatus",
        number(
            "node_watchdog_bootstatus",
            "Value of /sys/class/watchdog/<watchdog>/bootstatus",
        ),
    ),
    (
        "fw_version",
        number(
            "node_watchdog_fw_version",
            "Value of /sys/class/watchdog/<watchdog>/fw_version",
        ),
    ),
    (
        "nowayout",
        number(
            "node_watchdog_nowayout",
            "Value of /sys/class/watchdog/<watchdog>/nowayout",
        ),
    ),
    (
        "timeleft",
        number(
            "node_watchdog_timeleft_seconds",
            "Value of /sys/class/watchdog/<watchdog>/timeleft",
        ),
    ),
    (
        "timeout",
        number(
            "node_watchdog_timeout_seconds",
            "Value of /sys/class/watchdog/<watchdog>/timeout",
        ),
    ),
    (
        "pretimeout",
        number(
            "node_watchdog_pretimeout_seconds",
            "Value of /sys/class/watchdog/<watchdog>/pretimeout",
        ),
    ),
    (
        "access_cs0",
        number(
            "node_watchdog_access_cs0",
            "Value of /sys/class/watchdog/<watchdog>/access_cs0",
        ),
    ),
];
const INFO: Desc = gauge(
    "node_watchdog_info",
    "Info of /sys/class/watchdog/<watchdog>",
)
.labels(&[
    "name",
    "options",
    "identity",
    "state",
    "status",
    "pretimeout_governor",
]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("class/watchdog");
    let mut families: Vec<_> = NUMBERS.iter().map(|(_, desc)| Family::of(desc)).collect();
    let mut info = Family::of(&INFO);
    for name in host.names(&folder)? {
        let path = folder.join(&name);
        for (family, (file, _)) in families.iter_mut().zip(&NUMBERS) {
            let path = path.join(file);
            if let Some(text) = host.maybe(&path)? {
                let value = integer(&text).ok_or_else(|| parse_error(&path, text))?;
                family.push(&[&name], signed(value));
            }
        }
        let mut values = vec![name];
        for file in INFO.labels.iter().skip(1) {
            values.push(host.maybe(&path.join(file))?.unwrap_or_default());
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        info.push(&values, 1.0);
    }
    out.extend(families);
    out.push(info);
    Ok(())
}
