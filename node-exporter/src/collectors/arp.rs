//! `node_arp_entries`, asked of the kernel over netlink (rtnetlink(7)), or from `/proc/net/arp`.

use std::{collections::BTreeMap, io, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, gauge};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::{switch, switched, value},
    host::{Host, HostError, parse_error},
    netlink::{dump, i32_at, links, u16_at},
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
        switch(
            command,
            NETLINK,
            "Ask the kernel over netlink, not /proc/net/arp (default: on)",
        )
    },
    make: |setup| {
        Ok(Box::new(Arp {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
            netlink: switched(setup.matches, NETLINK).unwrap_or(true),
        }))
    },
    descs: &[ENTRIES],
};

const NETLINK: &str = "collector.arp.netlink";
/// `RTM_GETNEIGH` (rtnetlink(7)).
const GETNEIGH: u16 = 30;
const AF_INET: u8 = 2;
/// A neighbour that needs no ARP, such as what the loopback device has.
const NUD_NOARP: u16 = 0x40;
const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.arp.device-exclude",
    include: "collector.arp.device-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};
const ENTRIES: Desc = gauge("node_arp_entries", "ARP entries by device").labels(&["device"]);

struct Arp {
    host: Arc<Host>,
    filter: Filter,
    netlink: bool,
}

impl Collector for Arp {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let asked = self.netlink.then(neighbours).and_then(Result::ok);
        let counts = match asked {
            Some(counts) => counts,
            // Where a sandbox has no netlink there is the file.
            None => self.file()?,
        };
        let mut family = Family::of(&ENTRIES);
        for (device, count) in counts {
            if !self.filter.ignores(&device) {
                family.push(&[&device], f64::from(count));
            }
        }
        out.push(family);
        Ok(())
    }
}

impl Arp {
    fn file(&self) -> Result<BTreeMap<String, u32>, HostError> {
        let path = self.host.proc("net/arp");
        let text = self.host.read(&path)?;
        let mut counts = BTreeMap::new();
        // One line of headings.
        for line in text.lines().skip(1) {
            // Address, type, flags, hardware address, mask, device.
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            let [_, _, _, _, _, device] = fields.as_slice() else {
                return Err(parse_error(&path, line));
            };
            *counts.entry((*device).to_owned()).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The neighbours by device: struct ndmsg.
fn neighbours() -> io::Result<BTreeMap<String, u32>> {
    let mut question = [0; 12];
    question[0] = AF_INET;
    let messages = dump(None, GETNEIGH, &question)?;
    if messages.is_empty() {
        return Ok(BTreeMap::new());
    }
    let links = links()?;
    let mut counts = BTreeMap::new();
    for message in messages {
        if let (Some(device), Some(state)) = (i32_at(&message, 4), u16_at(&message, 8))
            && state & NUD_NOARP == 0
            && let Some(device) = links.get(&device)
        {
            *counts.entry(device.clone()).or_default() += 1;
        }
    }
    Ok(counts)
}
