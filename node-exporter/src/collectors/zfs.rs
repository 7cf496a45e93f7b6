//! `node_zfs_*`, from `/proc/spl/kstat/zfs` (OpenZFS, kstat).

use daemon::CollectError;
use exposition::{Desc, Family, Kind, Labels};

use super::{Entry, Named, gauge, labels, no_flags};
use crate::host::{Host, HostError, float, parse_error, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "zfs",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    // The others' names are the kernel module's.
    descs: &[STATE],
};

const STATE: Desc =
    gauge("node_zfs_zpool_state", "kstat.zfs.misc.state").labels(&["zpool", "state"]);
const STATES: [&str; 7] = [
    "online",
    "degraded",
    "faulted",
    "offline",
    "removed",
    "unavail",
    "suspended",
];

/// The files of the module as a whole, and what the metrics' names start with.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "zfs_abd"),
    ("arcstats", "zfs_arc"),
    ("dbufstats", "zfs_dbuf"),
    ("dmu_tx", "zfs_dmu_tx"),
    ("dnodestats", "zfs_dnode"),
    ("fm", "zfs_fm"),
    ("vdev_cache_stats", "zfs_vdev_cache"),
    ("vdev_mirror_stats", "zfs_vdev_mirror"),
    ("xuio_stats", "zfs_xuio"),
    ("zfetchstats", "zfs_zfetch"),
    ("zil", "zfs_zil"),
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.proc("spl/kstat/zfs");
    let pools = host.devices(&folder)?;
    let mut named = Named::default();
    for (file, prefix) in FILES {
        let path = folder.join(file);
        // Which there are depends on the version.
        let Ok(text) = host.read(&path) else {
            continue;
        };
        for (name, kind, value) in
            rows(&text).ok_or_else(|| parse_error(&path, "it has no line of headings"))?
        {
            let Some(parsed) = number(kind, value) else {
                continue;
            };
            let parsed =
                parsed.ok_or_else(|| parse_error(&path, format!("{name} {kind} {value}")))?;
            named.push(
                &format!("node_{prefix}_{}", last(name)),
                Kind::Untyped,
                || format!("kstat.zfs.misc.{file}.{name}"),
                Labels::EMPTY,
                parsed,
            );
        }
    }
    let mut states = Family::of(&STATE);
    for pool in &pools {
        self::pool(host, pool, &mut named, &mut states)?;
    }
    out.push(states);
    out.extend(named.families());
    Ok(())
}

fn pool(host: &Host, pool: &str, named: &mut Named, states: &mut Family) -> Result<(), HostError> {
    let folder = host.proc("spl/kstat/zfs").join(pool);
    for file in host.names(&folder)? {
        let path = folder.join(&file);
        match file.as_str() {
            "state" => {
                let state = host.text(&path)?.to_lowercase();
                for name in STATES {
                    states.push(&[pool, name], f64::from(u8::from(state == name)));
                }
            }
            "io" => {
                let text = host.read(&path)?;
                let mut lines = text.lines().map(str::split_ascii_whitespace);
                let Some(names) =
                    lines.find(|it| it.clone().next() == Some("nread") && it.clone().count() >= 12)
                else {
                    continue;
                };
                for mut values in lines {
                    for name in names.clone() {
                        let value = values.next().and_then(|it| it.parse().ok());
                        named.push(
                            &format!("node_zfs_zpool_{name}"),
                            Kind::Untyped,
                            || format!("kstat.zfs.misc.io.{name}"),
                            labels([("zpool", pool)]),
                            float(value.ok_or_else(|| {
                                parse_error(&path, format!("{name} has no number"))
                            })?),
                        );
                    }
                }
            }
            file if file.starts_with("objset-") => {
                let text = host.read(&path)?;
                let mut dataset = "";
                for (name, kind, value) in
                    rows(&text).ok_or_else(|| parse_error(&path, "it has no line of headings"))?
                {
                    if name == "dataset_name" {
                        dataset = value;
                        continue;
                    }
                    if kind != UNSIGNED {
                        continue;
                    }
                    let value = value
                        .parse()
                        .map_err(|_error| parse_error(&path, format!("{name} {kind} {value}")))?;
                    named.push(
                        &format!("node_zfs_zpool_dataset_{}", last(name)),
                        Kind::Untyped,
                        || format!("kstat.zfs.misc.objset.{name}"),
                        labels([("zpool", pool), ("dataset", dataset)]),
                        float(value),
                    );
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Types of a kstat's values.
const SIGNED: &str = "3";
const UNSIGNED: &str = "4";

/// `name type data` lines behind the line of headings; a value may have spaces.
fn rows(text: &str) -> Option<Vec<(&str, &str, &str)>> {
    let mut lines = text.lines();
    lines.find(|it| it.split_ascii_whitespace().eq(["name", "type", "data"]))?;
    Some(lines.filter_map(row).collect())
}

fn row(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (kind, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let value = value.trim_start();
    (!value.is_empty()).then_some((name, kind, value))
}

/// A value that is a number; then what it is, if it is one.
fn number(kind: &str, value: &str) -> Option<Option<f64>> {
    let value = value.split_ascii_whitespace().next().unwrap_or_default();
    match kind {
        UNSIGNED => Some(value.parse().ok().map(float)),
        SIGNED => Some(value.parse().ok().map(signed)),
        _ => None,
    }
}

/// The last part of a name with points in it, as a part of a metric's name.
fn last(name: &str) -> String {
    let (_, last) = name.rsplit_once('.').unwrap_or(("", name));
    last.replace('-', "_")
}
