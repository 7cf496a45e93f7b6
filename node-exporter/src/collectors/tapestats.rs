//! `node_tape_*`, from `/sys/class/scsi_tape/st*/stats` (kernel, `sysfs-class-scsi_tape`).

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, counter, gauge};
use crate::{
    filter::{Default, Pattern},
    flags::value,
    host::Host,
};

pub(super) const ENTRY: Entry = Entry {
    name: "tapestats",
    default: true,
    flags: |command| {
        value(
            command,
            IGNORED,
            false,
            "Regexp of devices to ignore for tapestats",
        )
    },
    make: |setup| {
        Ok(Box::new(Tapes {
            host: Arc::clone(&setup.host),
            ignored: Default::EMPTY.or_given(setup.matches, IGNORED)?,
        }))
    },
    descs: &[
        STATS[0].1, STATS[1].1, STATS[2].1, STATS[3].1, STATS[4].1, STATS[5].1, STATS[6].1,
        STATS[7].1, STATS[8].1, STATS[9].1,
    ],
};

const IGNORED: &str = "collector.tapestats.ignored-devices";

const fn stat(name: &'static str, help: &'static str) -> Desc {
    counter(name, help).labels(&["device"])
}

/// The files; times are in nanoseconds.
const STATS: [(&str, Desc, f64); 10] = [
    (
        "in_flight",
        gauge(
            "node_tape_io_now",
            "The number of I/Os currently outstanding to this device.",
        )
        .labels(&["device"]),
        1.0,
    ),
    (
        "io_ns",
        stat(
            "node_tape_io_time_seconds_total",
            "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used.",
        ),
        0.000_000_001,
    ),
    (
        "other_cnt",
        stat(
            "node_tape_io_others_total",
            "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total",
        ),
        1.0,
    ),
    (
        "read_byte_cnt",
        stat(
            "node_tape_read_bytes_total",
            "The number of bytes read from the tape drive.",
        ),
        1.0,
    ),
    (
        "read_cnt",
        stat(
            "node_tape_reads_completed_total",
            "The number of read requests issued to the tape drive.",
        ),
        1.0,
    ),
    (
        "read_ns",
        stat(
            "node_tape_read_time_seconds_total",
            "The amount of time spent waiting for read requests to complete.",
        ),
        0.000_000_001,
    ),
    (
        "write_byte_cnt",
        stat(
            "node_tape_written_bytes_total",
            "The number of bytes written to the tape drive.",
        ),
        1.0,
    ),
    (
        "write_cnt",
        stat(
            "node_tape_writes_completed_total",
            "The number of write requests issued to the tape drive.",
        ),
        1.0,
    ),
    (
        "write_ns",
        stat(
            "node_tape_write_time_seconds_total",
            "The amount of time spent waiting for write requests to complete.",
        ),
        0.000_000_001,
    ),
    (
        "resid_cnt",
        stat(
            "node_tape_residual_total",
            "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape.",
        ),
        1.0,
    ),
];

struct Tapes {
    host: Arc<Host>,
    /// None matches everything.
    ignored: Option<Pattern>,
}

impl Collector for Tapes {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let folder = self.host.sys("class/scsi_tape");
        let mut families: Vec<_> = STATS.iter().map(|(_, desc, _)| Family::of(desc)).collect();
        for tape in self.host.names(&folder)? {
            // `st0a` and `nst0` are other ways to the same drive.
            let number = tape.strip_prefix("st").unwrap_or_default();
            let drive = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
            if !drive || self.ignored.as_ref().is_none_or(|it| it.is_match(&tape)) {
                continue;
            }
            let path = folder.join(&tape).join("stats");
            for (family, (file, _, unit)) in families.iter_mut().zip(&STATS) {
                let count = self.host.maybe_count(&path.join(file))?.unwrap_or_default();
                family.push(&[&tape], count * unit);
            }
        }
        out.extend(families);
        Ok(())
    }
}
