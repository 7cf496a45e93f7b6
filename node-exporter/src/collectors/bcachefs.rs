//! `node_bcachefs_*`, from `/sys/fs/bcachefs/<uuid>`.

use std::path::Path;

use daemon::CollectError;
use exposition::{Desc, Family, Kind};

use super::{Entry, Named, counter, gauge, labels, no_flags, sanitized};
use crate::host::{Host, HostError, parse_error, unsigned};

pub(super) const ENTRY: Entry = Entry {
    name: "bcachefs",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    // The counters are the kernel's.
    descs: &[
        INFO,
        CACHE,
        COMPRESSED,
        UNCOMPRESSED,
        ERRORS,
        WRITES,
        WRITE_SIZE,
        DEVICE,
        BUCKET_SIZE,
        BUCKETS,
        DURABILITY,
        DONE,
        IO_ERRORS,
    ],
};

const INFO: Desc = gauge("node_bcachefs_info", "Filesystem information.").labels(&["uuid"]);
const CACHE: Desc = gauge(
    "node_bcachefs_btree_cache_size_bytes",
    "Btree cache memory usage in bytes.",
)
.labels(&["uuid"]);
const COMPRESSED: Desc = gauge(
    "node_bcachefs_compression_compressed_bytes",
    "Compressed size by algorithm.",
)
.labels(&["uuid", "algorithm"]);
const UNCOMPRESSED: Desc = gauge(
    "node_bcachefs_compression_uncompressed_bytes",
    "Uncompressed size by algorithm.",
)
.labels(&["uuid", "algorithm"]);
const ERRORS: Desc = counter("node_bcachefs_errors_total", "Error count by error type.")
    .labels(&["uuid", "error_type"]);
const WRITES: Desc = counter(
    "node_bcachefs_btree_writes_total",
    "Number of btree writes by type.",
)
.labels(&["uuid", "type"]);
const WRITE_SIZE: Desc = gauge(
    "node_bcachefs_btree_write_average_size_bytes",
    "Average btree write size by type.",
)
.labels(&["uuid", "type"]);
const DEVICE: Desc = gauge("node_bcachefs_device_info", "Device information.")
    .labels(&["uuid", "device", "label", "state"]);
const BUCKET_SIZE: Desc = gauge(
    "node_bcachefs_device_bucket_size_bytes",
    "Bucket size in bytes.",
)
.labels(&["uuid", "device"]);
const BUCKETS: Desc =
    gauge("node_bcachefs_device_buckets", "Total number of buckets.").labels(&["uuid", "device"]);
const DURABILITY: Desc = gauge(
    "node_bcachefs_device_durability",
    "Device durability setting.",
)
.labels(&["uuid", "device"]);
const DONE: Desc = counter(
    "node_bcachefs_device_io_done_bytes_total",
    "IO bytes by operation type and data type.",
)
.labels(&["uuid", "device", "operation", "data_type"]);
const IO_ERRORS: Desc = counter(
    "node_bcachefs_device_io_errors_total",
    "IO errors by error type.",
)
.labels(&["uuid", "device", "type"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("fs/bcachefs");
    let mut families = Families(ENTRY.descs.iter().map(Family::of).collect());
    let mut named = Named::default();
    let mut found = false;
    for uuid in host.devices(&folder)? {
        found = true;
        file_system(host, &folder.join(&uuid), &uuid, &mut families, &mut named)?;
    }
    if !found {
        return Err(CollectError::NoData);
    }
    out.extend(families.0);
    out.extend(named.families());
    Ok(())
}

struct Families(Vec<Family>);

impl Families {
    fn push(&mut self, desc: &Desc, values: &[&str], value: f64) {
        if let Some(family) = self.0.iter_mut().find(|it| it.name() == desc.name) {
            family.push(values, value);
        }
    }
}

fn file_system(
    host: &Host,
    path: &Path,
    uuid: &str,
    families: &mut Families,
    named: &mut Named,
) -> Result<(), HostError> {
    families.push(&INFO, &[uuid], 1.0);
    let cache = path.join("btree_cache_size");
    let size = text(host, &cache)?;
    let size = if size.is_empty() {
        Some(0.0)
    } else {
        bytes(&size)
    };
    let size = size.ok_or_else(|| parse_error(&cache, "it is no size"))?;
    families.push(&CACHE, &[uuid], size);

    // A line of headings, then `lz4: 1.5G 2.0G 50k`.
    let file = path.join("compression_stats");
    for line in text(host, &file)?.lines().skip(1) {
        if let [algorithm, compressed, uncompressed, ..] = fields(line).as_slice() {
            let size = |it: &str| bytes(it).ok_or_else(|| parse_error(&file, line));
            let labels = [uuid, algorithm.trim_end_matches(':')];
            families.push(&COMPRESSED, &labels, size(compressed)?);
            families.push(&UNCOMPRESSED, &labels, size(uncompressed)?);
        }
    }
    let file = path.join("errors");
    for line in text(host, &file)?.lines() {
        if let [kind, count, ..] = fields(line).as_slice() {
            let count = unsigned(count).ok_or_else(|| parse_error(&file, line))?;
            families.push(&ERRORS, &[uuid, kind], count);
        }
    }
    let folder = path.join("counters");
    for counter in files(host, &folder)? {
        let file = folder.join(&counter);
        let text = text(host, &file)?;
        let after = |start| text.lines().find_map(|it| it.strip_prefix(start));
        let count = match (after("since filesystem creation:"), after("since mount:")) {
            (Some(count), _) => bytes(count),
            (None, Some(_)) => Some(0.0),
            (None, None) => None,
        };
        named.push(
            &format!("node_bcachefs_{}_total", sanitized(&counter)),
            Kind::Counter,
            || format!("Bcachefs counter {counter} since filesystem creation."),
            labels([("uuid", uuid)]),
            count.ok_or_else(|| parse_error(&file, text.as_str()))?,
        );
    }
    let file = path.join("btree_write_stats");
    for line in text(host, &file)?.lines().skip(1) {
        if let [kind, count, size, ..] = fields(line).as_slice() {
            let error = || parse_error(&file, line);
            let labels = [uuid, kind.trim_end_matches(':')];
            families.push(&WRITES, &labels, unsigned(count).ok_or_else(error)?);
            families.push(&WRITE_SIZE, &labels, bytes(size).ok_or_else(error)?);
        }
    }
    for name in host.devices(path)? {
        if let Some(name) = name.strip_prefix("dev-") {
            device(
                host,
                &path.join(format!("dev-{name}")),
                [uuid, name],
                families,
            )?;
        }
    }
    Ok(())
}

fn device(
    host: &Host,
    path: &Path,
    both: [&str; 2],
    families: &mut Families,
) -> Result<(), HostError> {
    let [uuid, name] = both;
    let optional = |file| host.text(&path.join(file)).unwrap_or_default();
    families.push(
        &DEVICE,
        &[uuid, name, &optional("label"), &optional("state")],
        1.0,
    );
    let size = optional("bucket_size");
    let size = if size.is_empty() {
        Some(0.0)
    } else {
        bytes(&size)
    };
    let size = size.ok_or_else(|| parse_error(&path.join("bucket_size"), "it is no size"))?;
    families.push(&BUCKET_SIZE, &both, size);
    for (desc, file) in [(&BUCKETS, "nbuckets"), (&DURABILITY, "durability")] {
        let count = host.maybe_count(&path.join(file))?;
        families.push(desc, &both, count.unwrap_or_default());
    }
    let file = path.join("io_done");
    let mut operation = None;
    for line in text(host, &file)?.lines().map(str::trim) {
        match (line, operation) {
            ("read:" | "write:", _) => operation = Some(line.trim_end_matches(':')),
            (line, Some(operation)) => {
                if let Some((kind, count)) = line.split_once(':') {
                    let count = unsigned(count.trim()).ok_or_else(|| parse_error(&file, line))?;
                    families.push(&DONE, &[uuid, name, operation, kind.trim()], count);
                }
            }
            (_, None) => {}
        }
    }
    let file = path.join("io_errors");
    let text = text(host, &file)?;
    let since = text
        .lines()
        .skip_while(|it| !it.starts_with("IO errors since filesystem creation"));
    for line in since
        .skip(1)
        .take_while(|it| !it.starts_with("IO errors since "))
    {
        if let Some((kind, count)) = line.trim().split_once(':') {
            let count = unsigned(count.trim()).ok_or_else(|| parse_error(&file, line))?;
            families.push(&IO_ERRORS, &[uuid, name, kind.trim()], count);
        }
    }
    Ok(())
}

/// A file that this kernel may not have.
fn text(host: &Host, path: &Path) -> Result<String, HostError> {
    match host.text(path) {
        Err(error) if error.is_missing() => Ok(String::new()),
        read => read,
    }
}

fn files(host: &Host, folder: &Path) -> Result<Vec<String>, HostError> {
    match host.names(folder) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        read => read,
    }
}

fn fields(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

/// `1.5G` in whole bytes.
fn bytes(text: &str) -> Option<f64> {
    const UNITS: &str = "KMGTPE";
    let text = text.trim();
    let unit = text.chars().last()?.to_ascii_uppercase();
    let Some(power) = UNITS.find(unit) else {
        return Some(text.parse::<f64>().ok()?.trunc());
    };
    let number: f64 = text.get(..text.len() - 1)?.trim().parse().ok()?;
    Some((number * 1024_f64.powi(i32::try_from(power).ok()? + 1)).trunc())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        for (text, expect) in [
            ("12", Some(12.0)),
            ("1.5k", Some(1536.0)),
            (" 524M ", Some(549_453_824.0)),
            ("", None),
            ("M", None),
            ("x", None),
        ] {
            assert_eq!(bytes(text), expect, "{text}");
        }
    }
}
