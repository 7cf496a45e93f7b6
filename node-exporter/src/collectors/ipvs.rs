//! `node_ipvs_*`, from `/proc/net/ip_vs` and `/proc/net/ip_vs_stats` (ipvsadm(8)).

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, labels};
use crate::{
    flags::{FlagError, given, value},
    host::{Host, float, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "ipvs",
    default: true,
    flags: |command| {
        value(
            command,
            LABELS,
            false,
            "Comma separated list for IPVS backend stats labels",
        )
    },
    make: |setup| {
        let names = match given(setup.matches, LABELS) {
            Some(list) => parse_labels(list)?,
            None => ALL_LABELS.to_vec(),
        };
        Ok(Box::new(Ipvs {
            host: Arc::clone(&setup.host),
            names,
        }))
    },
    descs: &[
        TOTALS[0], TOTALS[1], TOTALS[2], TOTALS[3], TOTALS[4], ACTIVE, INACTIVE, WEIGHT,
    ],
};

const LABELS: &str = "collector.ipvs.backend-labels";
const ALL_LABELS: [&str; 6] = [
    "local_address",
    "local_port",
    "remote_address",
    "remote_port",
    "proto",
    "local_mark",
];

/// The columns of `/proc/net/ip_vs_stats`.
const TOTALS: [Desc; 5] = [
    counter(
        "node_ipvs_connections_total",
        "The total number of connections made.",
    ),
    counter(
        "node_ipvs_incoming_packets_total",
        "The total number of incoming packets.",
    ),
    counter(
        "node_ipvs_outgoing_packets_total",
        "The total number of outgoing packets.",
    ),
    counter(
        "node_ipvs_incoming_bytes_total",
        "The total amount of incoming data.",
    ),
    counter(
        "node_ipvs_outgoing_bytes_total",
        "The total amount of outgoing data.",
    ),
];
const ACTIVE: Desc = gauge(
    "node_ipvs_backend_connections_active",
    "The current active connections by local and remote address.",
)
.labels(&ALL_LABELS);
const INACTIVE: Desc = gauge(
    "node_ipvs_backend_connections_inactive",
    "The current inactive connections by local and remote address.",
)
.labels(&ALL_LABELS);
const WEIGHT: Desc = gauge(
    "node_ipvs_backend_weight",
    "The current backend weight by local and remote address.",
)
.labels(&ALL_LABELS);

struct Ipvs {
    host: Arc<Host>,
    /// The labels of backends that are shown; backends that differ in others are added up.
    names: Vec<&'static str>,
}

impl Collector for Ipvs {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("net/ip_vs_stats");
        let text = self.host.read(&path)?;
        let totals = text.lines().nth(2).and_then(totals);
        let totals =
            totals.ok_or_else(|| parse_error(&path, "its third line is not five numbers"))?;
        for (desc, value) in TOTALS.iter().zip(totals) {
            out.push(Family::single(desc, float(value)));
        }

        let path = self.host.proc("net/ip_vs");
        let text = self.host.read(&path)?;
        let mut sums = BTreeMap::<Vec<String>, [u64; 3]>::new();
        for (values, numbers) in backends(&text).map_err(|line| parse_error(&path, line))? {
            let shown = ALL_LABELS.iter().zip(values);
            let shown = shown.filter(|(name, _)| self.names.contains(name));
            let sum = sums
                .entry(shown.map(|(_, value)| value).collect())
                .or_default();
            for (sum, number) in sum.iter_mut().zip(numbers) {
                *sum = sum.saturating_add(number);
            }
        }
        let mut families = [&WEIGHT, &ACTIVE, &INACTIVE].map(Family::of);
        for (values, sums) in sums {
            let labels = labels(
                self.names
                    .iter()
                    .copied()
                    .zip(values.iter().map(String::as_str)),
            );
            for (family, sum) in families.iter_mut().zip(sums) {
                family.push_labels(labels.clone(), float(sum));
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// The labels named, in the order in which they are known.
fn parse_labels(list: &str) -> Result<Vec<&'static str>, FlagError> {
    let named: Vec<_> = list.split(',').filter(|it| !it.is_empty()).collect();
    if let Some(unknown) = named.iter().find(|it| !ALL_LABELS.contains(it)) {
        return Err(FlagError::Choice {
            flag: LABELS.to_owned(),
            value: (*unknown).to_owned(),
            choices: ALL_LABELS.join(", "),
        });
    }
    Ok(ALL_LABELS
        .into_iter()
        .filter(|it| named.contains(it))
        .collect())
}

fn totals(line: &str) -> Option<[u64; 5]> {
    let mut fields = line.split_ascii_whitespace();
    let mut totals = [0; 5];
    for total in &mut totals {
        *total = u64::from_str_radix(fields.next()?, 16).ok()?;
    }
    fields.next().is_none().then_some(totals)
}

/// A backend's labels as in [`ALL_LABELS`], and its weight, active and inactive connections.
type Backend = ([String; 6], [u64; 3]);

/// The backends; the line that is wrong.
fn backends(text: &str) -> Result<Vec<Backend>, &str> {
    let mut found = Vec::new();
    let mut service = [const { String::new() }; 4];
    for line in text.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        match fields.as_slice() {
            // Address, port, protocol and mark of the service to which the lines that follow belong.
            [protocol @ ("TCP" | "UDP" | "SCTP"), local, ..] => {
                let (address, port) = address(local).ok_or(line)?;
                service = [address, port, (*protocol).to_owned(), String::new()];
            }
            ["FWM", mark, ..] => {
                service = [
                    String::new(),
                    "0".to_owned(),
                    "FWM".to_owned(),
                    (*mark).to_owned(),
                ];
            }
            ["->", "RemoteAddress:Port", ..] => {}
            ["->", remote, _, weight, active, inactive, ..] => {
                let (address, port) = address(remote).ok_or(line)?;
                let number = |it: &str| it.parse().map_err(|_error| line);
                let [local, local_port, protocol, mark] = service.clone();
                found.push((
                    [local, local_port, address, port, protocol, mark],
                    [number(weight)?, number(active)?, number(inactive)?],
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// `C0A80016:0CEA` or `[2620:0000:…:0001]:0050`.
fn address(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?.to_string();
    if let Some(address) = address.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some((address.to_string(), port));
    }
    let address = u32::from_str_radix(address, 16)
        .ok()
        .filter(|_| address.len() == 8)?;
    Some((Ipv4Addr::from(address).to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::{address, parse_labels};

    #[test]
    fn addresses() {
        for (text, expect) in [
            ("C0A80016:0CEA", Some(("192.168.0.22", "3306"))),
            (
                "[2620:0000:0000:0000:0000:0000:0000:0001]:0050",
                Some(("2620::1", "80")),
            ),
            ("C0A80016", None),
            ("XXXXXXXX:0CEA", None),
            ("C0A8:0CEA", None),
            ("[::1:0050", None),
        ] {
            let found = address(text);
            let found = found.as_ref().map(|(a, p)| (a.as_str(), p.as_str()));
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn labels() {
        assert_eq!(
            parse_labels("proto,local_port,").unwrap(),
            ["local_port", "proto"]
        );
        assert_eq!(
            parse_labels("port").unwrap_err().to_string(),
            "--collector.ipvs.backend-labels has \"port\"; there are: local_address, local_port, remote_address, remote_port, proto, local_mark"
        );
    }
}
