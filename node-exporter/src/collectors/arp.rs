//! `node_arp_entries`, from `/proc/net/arp`, which like netlink leaves out the entries that need no ARP.

use std::{collections::BTreeMap, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, gauge};
use crate::{
    filter::{Filter, FilterFlags},
    flags::{ignored_switch, value},
    host::{Host, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "arp",
    default: true,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of arp devices to include (mutually exclusive to device-exclude)",
        );
        let command = value(
            command,
            FILTER.exclude,
            false,
            "Regexp of arp devices to exclude (mutually exclusive to device-include)",
        );
        ignored_switch(command, "collector.arp.netlink")
    },
    make: |setup| {
        Ok(Box::new(Arp {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
        }))
    },
    descs: &[ENTRIES],
};

const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.arp.device-exclude",
    include: "collector.arp.device-include",
    old_exclude: None,
    old_include: None,
    default: "",
};
const ENTRIES: Desc = gauge("node_arp_entries", "ARP entries by device").labels(&["device"]);

struct Arp {
    host: Arc<Host>,
    filter: Filter,
}

impl Collector for Arp {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("net/arp");
        let text = self.host.read(&path)?;
        let mut counts = BTreeMap::<&str, u32>::new();
        // One line of headings.
        for line in text.lines().skip(1) {
            // Address, type, flags, hardware address, mask, device.
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            let [_, _, _, _, _, device] = fields.as_slice() else {
                return Err(parse_error(&path, line).into());
            };
            *counts.entry(device).or_default() += 1;
        }
        let mut family = Family::of(&ENTRIES);
        for (device, count) in counts {
            if !self.filter.ignores(device) {
                family.push(&[device], f64::from(count));
            }
        }
        out.push(family);
        Ok(())
    }
}
