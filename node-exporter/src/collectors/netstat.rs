//! `node_netstat_*`: the fields of `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6` that `--collector.netstat.fields` matches.

use std::{path::Path, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Family, Kind, Labels};

use super::{Entry, Named};
use crate::{
    filter::{Default, Pattern},
    flags::value,
    host::{Host, HostError, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "netstat",
    default: true,
    flags: |command| {
        value(
            command,
            FIELDS,
            false,
            "Regexp of fields to return for netstat collector",
        )
    },
    make: |setup| {
        Ok(Box::new(Netstat {
            host: Arc::clone(&setup.host),
            fields: DEFAULT.or_given(setup.matches, FIELDS)?,
        }))
    },
    // The names are the kernel's.
    descs: &[],
};

const FIELDS: &str = "collector.netstat.fields";
pub(super) const DEFAULT: Default = Default {
    expression: "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    matches: Some(is_usual),
};

/// Whether the default expression matches.
fn is_usual(key: &str) -> bool {
    if key.ends_with("_InErrors") || key.ends_with("_InErrs") {
        return true;
    }
    let Some((protocol, field)) = key.split_once('_') else {
        return false;
    };
    match protocol {
        "Ip" => field == "Forwarding",
        "Ip6" | "IpExt" => matches!(field, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(field, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            field.starts_with("Listen")
                || field.starts_with("Syncookies")
                || matches!(
                    field,
                    "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop"
                )
        }
        "Tcp" => matches!(
            field,
            "ActiveOpens"
                | "InSegs"
                | "OutSegs"
                | "OutRsts"
                | "PassiveOpens"
                | "RetransSegs"
                | "CurrEstab"
        ),
        "Udp" | "Udp6" => matches!(
            field,
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
        ),
        _ => false,
    }
}

struct Netstat {
    host: Arc<Host>,
    /// None matches everything.
    fields: Option<Pattern>,
}

impl Collector for Netstat {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut named = Named::default();
        let mut push = |path: &Path, protocol: &str, field: &str, value: &str| {
            let key = format!("{protocol}_{field}");
            if self.fields.as_ref().is_some_and(|it| !it.is_match(&key)) {
                return Ok(());
            }
            let number = value
                .parse()
                .map_err(|_error| parse_error(path, format!("{key} is {value:?}, not a number")))?;
            let help = || format!("Statistic {protocol}{field}.");
            let name = format!("node_netstat_{key}");
            named.push(&name, Kind::Untyped, help, Labels::EMPTY, number);
            Ok::<_, HostError>(())
        };
        for file in ["net/netstat", "net/snmp"] {
            let path = self.host.proc(file);
            let text = self.host.read(&path)?;
            let mut lines = text.lines();
            // A line of names, then a line of values.
            while let Some(names) = lines.next() {
                let error = || parse_error(&path, names);
                let (protocol, names) = names.split_once(':').ok_or_else(error)?;
                let (_, values) = lines
                    .next()
                    .and_then(|it| it.split_once(':'))
                    .ok_or_else(error)?;
                let (mut names, mut values) = (
                    names.split_ascii_whitespace(),
                    values.split_ascii_whitespace(),
                );
                loop {
                    match (names.next(), values.next()) {
                        (Some(name), Some(value)) => push(&path, protocol, name, value)?,
                        (None, None) => break,
                        _ => return Err(error().into()),
                    }
                }
            }
        }
        let path = self.host.proc("net/snmp6");
        match self.host.read(&path) {
            Ok(text) => {
                for line in text.lines() {
                    let mut fields = line.split_ascii_whitespace();
                    // `Ip6InReceives 12`
                    if let (Some(key), Some(value)) = (fields.next(), fields.next())
                        && let Some((protocol, field)) = key.split_once('6')
                    {
                        push(&path, &format!("{protocol}6"), field, value)?;
                    }
                }
            }
            // A kernel without IPv6.
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        out.extend(named.families());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::DEFAULT;
    use crate::filter::tests::agree;

    #[test]
    fn default() {
        let protocols = [
            "Ip", "Ip6", "IpExt", "Icmp", "Icmp6", "Tcp", "TcpExt", "Udp", "Udp6", "UdpLite",
            "Icmp6_x", "",
        ];
        let fields = [
            "InErrors",
            "InErrs",
            "Forwarding",
            "InOctets",
            "OutOctets",
            "InMsgs",
            "OutMsgs",
            "ListenDrops",
            "Listen",
            "SyncookiesSent",
            "TCPSynRetrans",
            "TCPTimeouts",
            "TCPOFOQueue",
            "TCPRcvQDrop",
            "TCPRcvQDropX",
            "ActiveOpens",
            "InSegs",
            "OutSegs",
            "OutRsts",
            "PassiveOpens",
            "RetransSegs",
            "CurrEstab",
            "MaxConn",
            "InDatagrams",
            "OutDatagrams",
            "NoPorts",
            "RcvbufErrors",
            "SndbufErrors",
            "MemErrors",
            "",
            "x_InErrors",
        ];
        let names: Vec<_> = protocols
            .iter()
            .flat_map(|p| fields.iter().map(move |f| format!("{p}_{f}")))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).chain(fields).collect();
        agree(DEFAULT, &names);
    }
}
