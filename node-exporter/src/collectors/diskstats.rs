//! `node_disk_*`, from `/proc/diskstats` (kernel, Documentation/admin-guide/iostats.rst), sysfs and udev's data.

use std::{collections::BTreeMap, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::Entry;
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::value,
    host::{Host, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "diskstats",
    default: true,
    flags: |command| {
        let command = value(
            command,
            FILTER.exclude,
            false,
            "Regexp of disks to exclude (mutually exclusive to device-include)",
        );
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of disks to include (mutually exclusive to device-exclude)",
        );
        value(
            command,
            OLD,
            true,
            "Older spelling of collector.diskstats.device-exclude",
        )
    },
    make: |setup| {
        Ok(Box::new(Diskstats {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
        }))
    },
    descs: &ALL_DESCS,
};

const OLD: &str = "collector.diskstats.ignored-devices";
pub(super) const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.diskstats.device-exclude",
    include: "collector.diskstats.device-include",
    old_exclude: Some(OLD),
    old_include: None,
    default: Default {
        expression: r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
        matches: Some(is_part),
    },
};

const fn counter(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Counter, help).labels(&["device"])
}

const fn gauge(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Gauge, help).labels(&["device"])
}

/// Sectors are of 512 bytes whatever the disk's are (kernel, include/linux/types.h).
const SECTOR: f64 = 512.0;
const MILLISECOND: f64 = 0.001;

/// The columns after the name, with the factor to the base unit.
const COLUMNS: [(Desc, f64); 17] = [
    (
        counter(
            "node_disk_reads_completed_total",
            "The total number of reads completed successfully.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_reads_merged_total",
            "The total number of reads merged.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_read_bytes_total",
            "The total number of bytes read successfully.",
        ),
        SECTOR,
    ),
    (
        counter(
            "node_disk_read_time_seconds_total",
            "The total number of seconds spent by all reads.",
        ),
        MILLISECOND,
    ),
    (
        counter(
            "node_disk_writes_completed_total",
            "The total number of writes completed successfully.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_writes_merged_total",
            "The number of writes merged.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_written_bytes_total",
            "The total number of bytes written successfully.",
        ),
        SECTOR,
    ),
    (
        counter(
            "node_disk_write_time_seconds_total",
            "This is the total number of seconds spent by all writes.",
        ),
        MILLISECOND,
    ),
    (
        gauge(
            "node_disk_io_now",
            "The number of I/Os currently in progress.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_io_time_seconds_total",
            "Total seconds spent doing I/Os.",
        ),
        MILLISECOND,
    ),
    (
        counter(
            "node_disk_io_time_weighted_seconds_total",
            "The weighted # of seconds spent doing I/Os.",
        ),
        MILLISECOND,
    ),
    (
        counter(
            "node_disk_discards_completed_total",
            "The total number of discards completed successfully.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_discards_merged_total",
            "The total number of discards merged.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_discarded_sectors_total",
            "The total number of sectors discarded successfully.",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_discard_time_seconds_total",
            "This is the total number of seconds spent by all discards.",
        ),
        MILLISECOND,
    ),
    (
        counter(
            "node_disk_flush_requests_total",
            "The total number of flush requests completed successfully",
        ),
        1.0,
    ),
    (
        counter(
            "node_disk_flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.",
        ),
        MILLISECOND,
    ),
];
const INFO: Desc = Desc::new(
    "node_disk_info",
    Kind::Gauge,
    "Info of /sys/block/<block_device>.",
)
.labels(&[
    "device",
    "major",
    "minor",
    "path",
    "wwn",
    "model",
    "serial",
    "revision",
    "rotational",
]);
const FILESYSTEM_INFO: Desc = Desc::new(
    "node_disk_filesystem_info",
    Kind::Gauge,
    "Info about disk filesystem.",
)
.labels(&["device", "type", "usage", "uuid", "version"]);
const MAPPER_INFO: Desc = Desc::new(
    "node_disk_device_mapper_info",
    Kind::Gauge,
    "Info about disk device mapper.",
)
.labels(&["device", "name", "uuid", "vg_name", "lv_name", "lv_layer"]);
const ATA: [(Desc, &str); 3] = [
    (
        gauge("node_disk_ata_write_cache", "ATA disk has a write cache."),
        "ID_ATA_WRITE_CACHE",
    ),
    (
        gauge(
            "node_disk_ata_write_cache_enabled",
            "ATA disk has its write cache enabled.",
        ),
        "ID_ATA_WRITE_CACHE_ENABLED",
    ),
    (
        gauge(
            "node_disk_ata_rotation_rate_rpm",
            "ATA disk rotation rate in RPMs (0 for SSDs).",
        ),
        "ID_ATA_ROTATION_RATE_RPM",
    ),
];

const ALL_DESCS: [Desc; 23] = {
    let mut all = [INFO; 23];
    let mut at = 0;
    while at < COLUMNS.len() {
        all[at] = COLUMNS[at].0;
        at += 1;
    }
    all[17] = INFO;
    all[18] = FILESYSTEM_INFO;
    all[19] = MAPPER_INFO;
    all[20] = ATA[0].0;
    all[21] = ATA[1].0;
    all[22] = ATA[2].0;
    all
};

/// Whether the default expression matches: partitions, floppy disks, and what is no disk.
fn is_part(name: &str) -> bool {
    let digit = |it: char| it.is_ascii_digit();
    let rest = name.trim_end_matches(digit);
    if rest.len() == name.len() {
        return false;
    }
    if matches!(rest, "ram" | "zram" | "loop" | "fd") {
        return true;
    }
    if let Some(rest) = rest
        .strip_prefix("nvme")
        .and_then(|it| it.strip_suffix('p'))
    {
        let number = |it: &str| !it.is_empty() && it.chars().all(digit);
        return rest
            .split_once('n')
            .is_some_and(|(a, b)| number(a) && number(b));
    }
    let letter = ["xvd", "hd", "sd", "vd"]
        .iter()
        .find_map(|it| rest.strip_prefix(it));
    letter.is_some_and(|it| it.len() == 1 && it.bytes().all(|it| it.is_ascii_lowercase()))
}

struct Diskstats {
    host: Arc<Host>,
    filter: Filter,
}

/// A line of `/proc/diskstats`.
#[derive(Debug, PartialEq)]
struct Disk<'a> {
    major: &'a str,
    minor: &'a str,
    name: &'a str,
    /// 11 columns, 15 since Linux 4.18 (discards), 17 since 5.5 (flushes).
    columns: Vec<f64>,
}

impl Collector for Diskstats {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("diskstats");
        let text = self.host.read(&path)?;
        let mut columns: Vec<_> = COLUMNS.iter().map(|(desc, _)| Family::of(desc)).collect();
        let mut info = Family::of(&INFO);
        let mut filesystems = Family::of(&FILESYSTEM_INFO);
        let mut mappers = Family::of(&MAPPER_INFO);
        let mut ata: Vec<_> = ATA.iter().map(|(desc, _)| Family::of(desc)).collect();
        for line in text.lines() {
            let disk = parse(line).ok_or_else(|| parse_error(&path, line))?;
            let device = disk.name;
            if disk.columns.is_empty() || self.filter.ignores(device) {
                continue;
            }
            for ((family, (_, factor)), value) in columns.iter_mut().zip(COLUMNS).zip(&disk.columns)
            {
                family.push(&[device], value * factor);
            }
            let udev = self.udev(&disk);
            let get = |key: &str| udev.get(key).map_or("", String::as_str);
            let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(get);
            let serial = serial.into_iter().find(|it| !it.is_empty()).unwrap_or("");
            let rotational = self.host.sys(&format!("block/{device}/queue/rotational"));
            let rotational = if self.host.number(&rotational) == Some(1) {
                "1"
            } else {
                "0"
            };
            info.push(
                &[
                    device,
                    disk.major,
                    disk.minor,
                    get("ID_PATH"),
                    get("ID_WWN"),
                    get("ID_MODEL"),
                    serial,
                    get("ID_REVISION"),
                    rotational,
                ],
                1.0,
            );
            let file_system = get("ID_FS_TYPE");
            if !file_system.is_empty() {
                let rest = ["ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION"].map(get);
                filesystems.push(&[device, file_system, rest[0], rest[1], rest[2]], 1.0);
            }
            let mapper = get("DM_NAME");
            if !mapper.is_empty() {
                let rest = ["DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_LV_LAYER"].map(get);
                mappers.push(&[device, mapper, rest[0], rest[1], rest[2], rest[3]], 1.0);
            }
            if !get("ID_ATA").is_empty() {
                for (family, (_, key)) in ata.iter_mut().zip(ATA) {
                    if let Ok(value) = get(key).parse() {
                        family.push(&[device], value);
                    }
                }
            }
        }
        out.extend(columns);
        out.extend([info, filesystems, mappers]);
        out.extend(ata);
        Ok(())
    }
}

impl Diskstats {
    /// The properties (`E:NAME=value`) that udev keeps of a device; none without udev.
    fn udev(&self, disk: &Disk<'_>) -> BTreeMap<String, String> {
        let path = self.host.udev(&format!("b{}:{}", disk.major, disk.minor));
        let text = self.host.read(&path).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// None when a line is of no known kind. Partitions of kernels before 2.6.25 have four columns, which mean other things: no columns.
fn parse(line: &str) -> Option<Disk<'_>> {
    let mut fields = line.split_ascii_whitespace();
    let (major, minor, name) = (fields.next()?, fields.next()?, fields.next()?);
    let number = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    if !number(major) || !number(minor) {
        return None;
    }
    let columns: Option<Vec<f64>> = fields.map(|it| it.parse().ok()).collect();
    let mut columns = columns?;
    match columns.len() {
        4 => columns.clear(),
        11.. => columns.truncate(17),
        _ => return None,
    }
    Some(Disk {
        major,
        minor,
        name,
        columns,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn default() {
        crate::filter::tests::agree(
            super::FILTER.default,
            &[
                "ram0",
                "zram12",
                "loop7",
                "fd0",
                "hda1",
                "sda",
                "sda12",
                "sdaa1",
                "vdb3",
                "xvdf1",
                "xvda",
                "nvme0n1",
                "nvme0n1p1",
                "nvme10n12p34",
                "nvmen1p1",
                "nvme0np1",
                "nvme0n1p",
                "md0",
                "dm-0",
                "",
                "1",
                "sdA1",
                "mmcblk0p1",
            ],
        );
    }

    use super::parse;

    #[test]
    fn lines() {
        for (line, expect) in [
            (" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11", Some(("sda", 11))),
            (
                "259 0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
                Some(("nvme0n1", 15)),
            ),
            (
                "254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19",
                Some(("vda", 17)),
            ),
            ("8 1 sda1 1 2 3 4", Some(("sda1", 0))),
            ("8 0 sda 1 2 3", None),
            ("8 0 sda 1 2 3 4 5 6 7 8 9 10 x", None),
            ("8 x sda 1 2 3 4 5 6 7 8 9 10 11", None),
            ("", None),
        ] {
            let found = parse(line);
            let found = found.as_ref().map(|it| (it.name, it.columns.len()));
            assert_eq!(found, expect, "{line}");
        }
    }
}
