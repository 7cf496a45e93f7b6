//! `node_network_route_info` and `node_network_routes`, asked of the kernel over netlink (rtnetlink(7)).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::netlink::{attributes, dump, i32_at, links, u16_at, u32_at};

pub(super) const ENTRY: Entry = Entry {
    name: "network_route",
    default: false,
    flags: no_flags,
    make: |_| Ok(Box::new(Routes)),
    descs: &[INFO, COUNT],
};

const INFO: Desc = gauge(
    "node_network_route_info",
    "network routing table information",
)
.labels(&["device", "src", "dest", "gw", "priority", "proto", "weight"]);
const COUNT: Desc = gauge("node_network_routes", "network routes by interface").labels(&["device"]);

const GETROUTE: u16 = 26;
const UNICAST: u8 = 1;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;

struct Routes;

/// One way of a route.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    device: i32,
    source: String,
    destination: String,
    gateway: String,
    priority: u32,
    protocol: u8,
    weight: String,
}

impl Collector for Routes {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let links = links().map_err(CollectError::failed)?;
        // struct rtmsg, of every family.
        let messages = dump(None, GETROUTE, &[0; 12]).map_err(CollectError::failed)?;
        let mut counts = BTreeMap::<&str, u32>::new();
        let mut info = Family::of(&INFO);
        for hop in messages.iter().filter_map(|it| parse(it)).flatten() {
            let device = links.get(&hop.device).map_or("", String::as_str);
            info.push(
                &[
                    device,
                    &hop.source,
                    &hop.destination,
                    &hop.gateway,
                    &hop.priority.to_string(),
                    protocol(hop.protocol),
                    &hop.weight,
                ],
                1.0,
            );
            *counts.entry(device).or_default() += 1;
        }
        let mut count = Family::of(&COUNT);
        for (device, routes) in counts {
            count.push(&[device], f64::from(routes));
        }
        out.extend([info, count]);
        Ok(())
    }
}

/// The ways of a route to other hosts; None for what is none.
pub(super) fn parse(message: &[u8]) -> Option<Vec<Hop>> {
    let length = *message.get(1)?;
    let mut hop = Hop {
        protocol: *message.get(5)?,
        destination: "default".to_owned(),
        ..Hop::default()
    };
    if *message.get(7)? != UNICAST {
        return None;
    }
    let mut hops = Vec::new();
    for (kind, value) in attributes(message.get(12..)?) {
        match kind {
            RTA_DST if length > 0 => hop.destination = format!("{}/{length}", address(value)),
            RTA_PREFSRC => hop.source = address(value),
            RTA_OIF => hop.device = i32_at(value, 0)?,
            RTA_GATEWAY => hop.gateway = address(value),
            RTA_PRIORITY => hop.priority = u32_at(value, 0)?,
            RTA_MULTIPATH => hops = next_hops(value),
            _ => {}
        }
    }
    if hops.is_empty() {
        return Some(vec![hop]);
    }
    let ways = hops.into_iter().map(|(device, gateway, weight)| Hop {
        device,
        gateway,
        weight: weight.to_string(),
        ..hop.clone()
    });
    Some(ways.collect())
}

/// The device, gateway and weight of each: struct rtnexthop and its attributes.
fn next_hops(mut bytes: &[u8]) -> Vec<(i32, String, u16)> {
    let mut hops = Vec::new();
    while let Some(length) = u16_at(bytes, 0).map(usize::from)
        && let Some(hop) = bytes.get(..length)
        && let (Some(&weight), Some(device), Some(rest)) =
            (hop.get(3), i32_at(hop, 4), hop.get(8..))
    {
        let gateway = attributes(rest).find(|(kind, _)| *kind == RTA_GATEWAY);
        let gateway = gateway.map(|(_, it)| address(it)).unwrap_or_default();
        hops.push((device, gateway, u16::from(weight) + 1));
        bytes = bytes.get((length + 3) & !3..).unwrap_or_default();
    }
    hops
}

fn address(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return IpAddr::from(Ipv4Addr::from(bytes)).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => IpAddr::from(Ipv6Addr::from(bytes)).to_string(),
        Err(_) => String::new(),
    }
}

/// Who made the route (`linux/rtnetlink.h`).
const fn protocol(number: u8) -> &'static str {
    match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        17 => "mrouted",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::{next_hops, parse};

    #[test]
    fn routes() {
        // 10.0.0.0/8 by 192.168.0.1 at device 2, made by the kernel.
        let mut message = vec![2, 8, 0, 0, 254, 2, 0, 1, 0, 0, 0, 0];
        message.extend([8, 0, 1, 0, 10, 0, 0, 0]);
        message.extend([8, 0, 5, 0, 192, 168, 0, 1]);
        message.extend([8, 0, 4, 0, 2, 0, 0, 0]);
        let found = parse(&message).unwrap();
        let [hop] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (
                hop.device,
                hop.destination.as_str(),
                hop.gateway.as_str(),
                hop.protocol
            ),
            (2, "10.0.0.0/8", "192.168.0.1", 2)
        );
        message[7] = 2;
        assert_eq!(parse(&message), None);
        assert_eq!(parse(&message[..7]), None);
    }

    #[test]
    fn ways() {
        let mut bytes = vec![16, 0, 0, 4, 3, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 1];
        bytes.extend([8, 0, 0, 0, 4, 0, 0, 0]);
        bytes.extend([200, 0, 0]);
        assert_eq!(
            next_hops(&bytes),
            [(3, "10.0.0.1".to_owned(), 5), (4, String::new(), 1)]
        );
    }
}
