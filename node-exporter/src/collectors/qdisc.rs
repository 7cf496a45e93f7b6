//! `node_qdisc_*`: queues of network devices, asked of the kernel over netlink (tc(8)).

use std::path::PathBuf;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};
use serde::Deserialize;

use super::{Entry, counter, gauge};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::{given, value},
    host::float,
    netlink::{attributes, dump, i32_at, links, text, u32_at, u64_at},
};

pub(super) const ENTRY: Entry = Entry {
    name: "qdisc",
    default: false,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of qdisc devices to include (mutually exclusive to device-exclude)",
        );
        let command = value(
            command,
            FILTER.exclude,
            false,
            "Regexp of qdisc devices to exclude (mutually exclusive to device-include)",
        );
        let command = value(
            command,
            OLD_INCLUDE,
            true,
            "Older spelling of collector.qdisc.device-include",
        );
        let command = value(
            command,
            OLD_EXCLUDE,
            true,
            "Older spelling of collector.qdisc.device-exclude",
        );
        value(
            command,
            FIXTURES,
            true,
            "Folder of a results.json to show instead of the kernel's answer; for tests",
        )
    },
    make: |setup| {
        Ok(Box::new(Queues {
            filter: FILTER.read(setup.matches)?,
            fixtures: given(setup.matches, FIXTURES)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from),
        }))
    },
    descs: &DESCS,
};

const OLD_INCLUDE: &str = "collector.qdisk.device-include";
const OLD_EXCLUDE: &str = "collector.qdisk.device-exclude";
const FIXTURES: &str = "collector.qdisc.fixtures";
const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.qdisc.device-exclude",
    include: "collector.qdisc.device-include",
    old_exclude: Some(OLD_EXCLUDE),
    old_include: Some(OLD_INCLUDE),
    default: Default::NONE,
};

const LABELS: &[&str] = &["device", "kind"];
const DESCS: [Desc; 7] = [
    counter("node_qdisc_bytes_total", "Number of bytes sent.").labels(LABELS),
    counter("node_qdisc_packets_total", "Number of packets sent.").labels(LABELS),
    counter("node_qdisc_drops_total", "Number of packets dropped.").labels(LABELS),
    counter(
        "node_qdisc_requeues_total",
        "Number of packets dequeued, not transmitted, and requeued.",
    )
    .labels(LABELS),
    counter(
        "node_qdisc_overlimits_total",
        "Number of overlimit packets.",
    )
    .labels(LABELS),
    gauge(
        "node_qdisc_current_queue_length",
        "Number of packets currently in queue to be sent.",
    )
    .labels(LABELS),
    gauge(
        "node_qdisc_backlog",
        "Number of bytes currently in queue to be sent.",
    )
    .labels(LABELS),
];

/// `RTM_GETQDISC` and its attributes (rtnetlink(7), `linux/gen_stats.h`).
const GETQDISC: u16 = 38;
const TCA_KIND: u16 = 1;
const TCA_STATS: u16 = 3;
const TCA_STATS2: u16 = 7;
const STATS_BASIC: u16 = 1;
const STATS_QUEUE: u16 = 3;
/// The parent of a queue at the device itself (`TC_H_ROOT`).
const ROOT: u32 = u32::MAX;

struct Queues {
    filter: Filter,
    fixtures: Option<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Queue {
    iface_name: String,
    parent: u32,
    kind: String,
    bytes: u64,
    packets: u32,
    drops: u32,
    requeues: u32,
    overlimits: u32,
    qlen: u32,
    backlog: u32,
}

impl Collector for Queues {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let queues = match &self.fixtures {
            Some(folder) => {
                let text =
                    std::fs::read(folder.join("results.json")).map_err(CollectError::failed)?;
                serde_json::from_slice(&text).map_err(CollectError::failed)?
            }
            None => ask().map_err(CollectError::failed)?,
        };
        let mut families = DESCS.each_ref().map(Family::of);
        for queue in queues {
            // Those below others count what these count.
            if queue.parent != 0 || self.filter.ignores(&queue.iface_name) {
                continue;
            }
            let values = [
                float(queue.bytes),
                f64::from(queue.packets),
                f64::from(queue.drops),
                f64::from(queue.requeues),
                f64::from(queue.overlimits),
                f64::from(queue.qlen),
                f64::from(queue.backlog),
            ];
            for (family, value) in families.iter_mut().zip(values) {
                family.push(&[&queue.iface_name, &queue.kind], value);
            }
        }
        out.extend(families);
        Ok(())
    }
}

fn ask() -> std::io::Result<Vec<Queue>> {
    // struct tcmsg, of every device.
    let messages = dump(None, GETQDISC, &[0; 20])?;
    let links = links()?;
    let queues = messages.iter().filter_map(|it| {
        let (device, mut queue) = parse(it)?;
        queue.iface_name = links.get(&device)?.clone();
        Some(queue)
    });
    Ok(queues.collect())
}

pub(super) fn parse(message: &[u8]) -> Option<(i32, Queue)> {
    let parent = u32_at(message, 12)?;
    let mut queue = Queue {
        parent: if parent == ROOT { 0 } else { parent },
        ..Queue::default()
    };
    for (kind, value) in attributes(message.get(20..)?) {
        match kind {
            TCA_KIND => queue.kind = text(value),
            TCA_STATS2 => {
                for (kind, value) in attributes(value) {
                    match kind {
                        STATS_BASIC => {
                            queue.bytes = u64_at(value, 0)?;
                            queue.packets = u32_at(value, 8)?;
                        }
                        STATS_QUEUE => {
                            queue.qlen = u32_at(value, 0)?;
                            queue.backlog = u32_at(value, 4)?;
                            queue.drops = u32_at(value, 8)?;
                            queue.requeues = u32_at(value, 12)?;
                            queue.overlimits = u32_at(value, 16)?;
                        }
                        _ => {}
                    }
                }
            }
            // What older kernels have.
            TCA_STATS => {
                queue.bytes = u64_at(value, 0)?;
                queue.packets = u32_at(value, 8)?;
                queue.drops = u32_at(value, 12)?;
                queue.overlimits = u32_at(value, 16)?;
                queue.qlen = u32_at(value, 28)?;
                queue.backlog = u32_at(value, 32)?;
            }
            _ => {}
        }
    }
    Some((i32_at(message, 4)?, queue))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn messages() {
        let mut message = vec![0; 20];
        message[4] = 2;
        message[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        message.extend([7, 0, 1, 0, b'f', b'q', 0, 0]);
        message.extend([40, 0, 3, 0]);
        message.extend(9_u64.to_ne_bytes());
        message.extend([1_u32, 2, 3, 0, 0, 6, 7].map(u32::to_ne_bytes).concat());
        let (device, queue) = parse(&message).unwrap();
        assert_eq!((device, queue.kind.as_str(), queue.parent), (2, "fq", 0));
        assert_eq!(
            (
                queue.bytes,
                queue.packets,
                queue.drops,
                queue.overlimits,
                queue.qlen,
                queue.backlog
            ),
            (9, 1, 2, 3, 6, 7)
        );
        assert_eq!(parse(&message[..19]), None);
        // A queue's statistics cut short.
        message.truncate(40);
        assert_eq!(parse(&message).unwrap().1.bytes, 0);
    }
}
