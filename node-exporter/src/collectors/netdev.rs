//! `node_network_*_total`, asked of the kernel over netlink (rtnetlink(7)), or from `/proc/net/dev`.

use std::{io, net::IpAddr, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind, Labels};

use super::{Entry, Named, counter, gauge, labels};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::{switch, switched, value},
    host::{Host, HostError, float, parse_error},
    netlink::{attributes, dump, i32_at, links, text, u64_at},
};

pub(super) const ENTRY: Entry = Entry {
    name: "netdev",
    default: true,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of net devices to include (mutually exclusive to device-exclude)",
        );
        let command = value(
            command,
            FILTER.exclude,
            false,
            "Regexp of net devices to exclude (mutually exclusive to device-include)",
        );
        let command = value(
            command,
            OLD_INCLUDE,
            true,
            "Older spelling of collector.netdev.device-include",
        );
        let command = value(
            command,
            OLD_EXCLUDE,
            true,
            "Older spelling of collector.netdev.device-exclude",
        );
        let command = switch(
            command,
            NETLINK,
            "Ask the kernel over netlink, not /proc/net/dev (default: on)",
        );
        let command = switch(command, ADDRESSES, "Show node_network_address_info");
        let command = switch(command, ALIAS, "Add the label ifalias");
        switch(
            command,
            DETAILED,
            "Show every kind of error under a name of its own, instead of the usual names",
        )
    },
    make: |setup| {
        Ok(Box::new(Netdev {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
            netlink: switched(setup.matches, NETLINK).unwrap_or(true),
            addresses: switched(setup.matches, ADDRESSES).unwrap_or(false),
            alias: switched(setup.matches, ALIAS).unwrap_or(false),
            detailed: switched(setup.matches, DETAILED).unwrap_or(false),
        }))
    },
    descs: &DESCS,
};

const OLD_INCLUDE: &str = "collector.netdev.device-whitelist";
const OLD_EXCLUDE: &str = "collector.netdev.device-blacklist";
const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.netdev.device-exclude",
    include: "collector.netdev.device-include",
    old_exclude: Some(OLD_EXCLUDE),
    old_include: Some(OLD_INCLUDE),
    default: Default::NONE,
};

const NETLINK: &str = "collector.netdev.netlink";
const ADDRESSES: &str = "collector.netdev.address-info";
const ALIAS: &str = "collector.netdev.label-ifalias";
const DETAILED: &str = "collector.netdev.enable-detailed-metrics";

macro_rules! statistic {
    ($key:literal) => {
        counter(
            concat!("node_network_", $key, "_total"),
            concat!("Network device statistic ", $key, "."),
        )
        .labels(&["device"])
    };
}

/// The columns of `/proc/net/dev` in their order (kernel, `dev_seq_printf_stats`), then what netlink has beyond them.
const DESCS: [Desc; 18] = [
    statistic!("receive_bytes"),
    statistic!("receive_packets"),
    statistic!("receive_errs"),
    statistic!("receive_drop"),
    statistic!("receive_fifo"),
    statistic!("receive_frame"),
    statistic!("receive_compressed"),
    statistic!("receive_multicast"),
    statistic!("transmit_bytes"),
    statistic!("transmit_packets"),
    statistic!("transmit_errs"),
    statistic!("transmit_drop"),
    statistic!("transmit_fifo"),
    statistic!("transmit_colls"),
    statistic!("transmit_carrier"),
    statistic!("transmit_compressed"),
    statistic!("receive_nohandler"),
    ADDRESS,
];
/// How many of them `/proc/net/dev` has.
const COLUMNS: usize = 16;
const ADDRESS: Desc = gauge(
    "node_network_address_info",
    "node network address by device",
)
.labels(&["device", "address", "netmask", "scope"]);

/// The columns that have other names with the detailed ones.
const DETAILED_COLUMNS: [(&str, &str); 4] = [
    ("receive_errs", "receive_errors"),
    ("receive_drop", "receive_dropped"),
    ("transmit_errs", "transmit_errors"),
    ("transmit_drop", "transmit_dropped"),
];
/// The fields of struct `rtnl_link_stats64` (`linux/if_link.h`), by their detailed names.
const FIELDS: [&str; 24] = [
    "receive_packets",
    "transmit_packets",
    "receive_bytes",
    "transmit_bytes",
    "receive_errors",
    "transmit_errors",
    "receive_dropped",
    "transmit_dropped",
    "multicast",
    "collisions",
    "receive_length_errors",
    "receive_over_errors",
    "receive_crc_errors",
    "receive_frame_errors",
    "receive_fifo_errors",
    "receive_missed_errors",
    "transmit_aborted_errors",
    "transmit_carrier_errors",
    "transmit_fifo_errors",
    "transmit_heartbeat_errors",
    "transmit_window_errors",
    "receive_compressed",
    "transmit_compressed",
    "receive_nohandler",
];
/// Which fields make up each statistic, in the order of the others.
const SUMS: [&[usize]; COLUMNS + 1] = [
    &[2],
    &[0],
    &[4],
    &[6, 15],
    &[14],
    &[13, 10, 11, 12],
    &[21],
    &[8],
    &[3],
    &[1],
    &[5],
    &[7],
    &[18],
    &[9],
    &[17, 16, 19, 20],
    &[22],
    &[23],
];

/// `RTM_GETLINK` and `RTM_GETADDR` (rtnetlink(7)), and their attributes.
const GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;
const IFLA_STATS64: u16 = 23;
const GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

struct Netdev {
    host: Arc<Host>,
    filter: Filter,
    netlink: bool,
    addresses: bool,
    alias: bool,
    detailed: bool,
}

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let asked = self.netlink.then(|| dump(None, GETLINK, &[0; 16]));
        match asked {
            Some(Ok(messages)) => self.links(&messages, out),
            // Where a sandbox has no netlink there is the file.
            None | Some(Err(_)) => self.file(out)?,
        }
        if self.addresses {
            self.show_addresses(out).map_err(CollectError::failed)?;
        }
        Ok(())
    }
}

impl Netdev {
    fn links(&self, messages: &[Vec<u8>], out: &mut Vec<Family>) {
        let links = messages.iter().filter_map(|it| link(it));
        let links: Vec<_> = links
            .filter(|(name, _)| !self.filter.ignores(name))
            .collect();
        if self.detailed {
            let mut named = Named::default();
            for (device, fields) in &links {
                for (key, value) in FIELDS.iter().zip(fields) {
                    self.named(&mut named, key, device, *value);
                }
            }
            out.extend(named.families());
            return;
        }
        let mut families: Vec<_> = DESCS.iter().take(COLUMNS + 1).map(Family::of).collect();
        for (device, fields) in &links {
            for (family, parts) in families.iter_mut().zip(SUMS) {
                let parts = parts.iter().filter_map(|it| fields.get(*it));
                self.push(
                    family,
                    device,
                    parts.fold(0, |sum, it| sum.wrapping_add(*it)),
                );
            }
        }
        out.extend(families);
    }

    fn file(&self, out: &mut Vec<Family>) -> Result<(), HostError> {
        let path = self.host.proc("net/dev");
        let text = self.host.read(&path)?;
        let mut families: Vec<_> = DESCS.iter().take(COLUMNS).map(Family::of).collect();
        let mut named = Named::default();
        // Two lines of headings.
        for line in text.lines().skip(2) {
            let (device, values) = parse(line).ok_or_else(|| parse_error(&path, line))?;
            if self.filter.ignores(device) {
                continue;
            }
            for (family, value) in families.iter_mut().zip(values) {
                if self.detailed {
                    let key = family
                        .name()
                        .trim_start_matches("node_network_")
                        .trim_end_matches("_total");
                    let other = DETAILED_COLUMNS.iter().find(|(its, _)| *its == key);
                    self.named(
                        &mut named,
                        other.map_or(key, |(_, other)| other),
                        device,
                        value,
                    );
                } else {
                    self.push(family, device, value);
                }
            }
        }
        out.extend(families);
        out.extend(named.families());
        Ok(())
    }

    fn push(&self, family: &mut Family, device: &str, value: u64) {
        if self.alias {
            family.push_labels(self.labels(device), float(value));
        } else {
            family.push(&[device], float(value));
        }
    }

    fn named(&self, named: &mut Named, key: &str, device: &str, value: u64) {
        let name = format!("node_network_{key}_total");
        let help = || format!("Network device statistic {key}.");
        named.push(
            &name,
            Kind::Counter,
            help,
            self.labels(device),
            float(value),
        );
    }

    fn labels(&self, device: &str) -> Labels {
        if !self.alias {
            return labels([("device", device)]);
        }
        let alias = self
            .host
            .text(&self.host.sys("class/net").join(device).join("ifalias"));
        labels([("device", device), ("ifalias", &alias.unwrap_or_default())])
    }

    fn show_addresses(&self, out: &mut Vec<Family>) -> io::Result<()> {
        let links = links()?;
        let mut family = Family::of(&ADDRESS);
        // struct ifaddrmsg, of every family.
        for message in dump(None, GETADDR, &[0; 8])? {
            if let Some((device, prefix, address)) = address(&message)
                && let Some(device) = links.get(&device)
                && !self.filter.ignores(device)
            {
                let (text, prefix) = (address.to_string(), prefix.to_string());
                family.push(&[device, &text, &prefix, scope(address)], 1.0);
            }
        }
        out.push(family);
        Ok(())
    }
}

/// A device's name and statistics.
pub(super) fn link(message: &[u8]) -> Option<(String, [u64; FIELDS.len()])> {
    let (mut name, mut fields) = (None, None);
    for (kind, value) in attributes(message.get(16..)?) {
        match kind {
            IFLA_IFNAME => name = Some(text(value)),
            IFLA_STATS64 => {
                let mut read = [0; FIELDS.len()];
                for (at, field) in read.iter_mut().enumerate() {
                    // Older kernels have fewer.
                    *field = u64_at(value, at * 8).unwrap_or_default();
                }
                fields = Some(read);
            }
            _ => {}
        }
    }
    Some((name?, fields?))
}

/// The device, the prefix' length and the address of struct ifaddrmsg.
pub(super) fn address(message: &[u8]) -> Option<(i32, u8, IpAddr)> {
    let found: Vec<_> = attributes(message.get(8..)?).collect();
    // At the ends of a tunnel the other address is the peer's.
    let find = |kind| found.iter().find(|it| it.0 == kind);
    let (_, bytes) = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?;
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
    };
    Some((i32_at(message, 4)?, *message.get(1)?, address))
}

/// How far an address is known.
fn scope(address: IpAddr) -> &'static str {
    let local = match address {
        IpAddr::V4(it) => {
            it.is_loopback() || it.is_link_local() || it.octets().starts_with(&[224, 0, 0])
        }
        IpAddr::V6(it) => {
            let multicast = it.segments()[0] & 0xff0f;
            if multicast == 0xff01 {
                return "interface-local";
            }
            it.is_loopback() || it.is_unicast_link_local() || multicast == 0xff02
        }
    };
    if local {
        "link-local"
    } else if address.is_multicast() || address.is_unspecified() {
        ""
    } else {
        "global"
    }
}

/// A device and its sixteen columns; a name may hold colons (aliases).
fn parse(line: &str) -> Option<(&str, [u64; COLUMNS])> {
    let (device, rest) = line.rsplit_once(':')?;
    let mut fields = rest.split_ascii_whitespace();
    let mut values = [0; COLUMNS];
    for value in &mut values {
        *value = fields.next()?.parse().ok()?;
    }
    Some((device.trim(), values))
}

#[cfg(test)]
mod tests {
    use super::{link, parse, scope};

    #[test]
    fn scopes() {
        for (address, expect) in [
            ("127.0.0.1", "link-local"),
            ("169.254.1.1", "link-local"),
            ("10.0.0.1", "global"),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("2620::1", "global"),
            ("0.0.0.0", ""),
        ] {
            assert_eq!(scope(address.parse().unwrap()), expect, "{address}");
        }
    }

    #[test]
    fn messages() {
        let mut message = vec![0; 16];
        message.extend([7, 0, 3, 0, b'l', b'o', 0, 0]);
        assert_eq!(link(&message), None);
        message.extend([12, 0, 23, 0]);
        message.extend(5_u64.to_ne_bytes());
        let (name, fields) = link(&message).unwrap();
        assert_eq!((name.as_str(), fields[0], fields[1]), ("lo", 5, 0));
    }

    #[test]
    fn lines() {
        let (device, values) = parse("  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        assert_eq!((device, values[0], values[15]), ("eth0", 1, 16));
        assert_eq!(
            parse("eth0:1:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")
                .unwrap()
                .0,
            "eth0:1"
        );
        for bad in [
            "",
            "eth0",
            "eth0: 1 2",
            "eth0: a 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
