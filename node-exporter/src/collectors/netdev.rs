//! `node_network_*_total`, from `/proc/net/dev` and `/sys/class/net`.

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::Entry;
use crate::{
    filter::{Filter, FilterFlags},
    flags::value,
    host::{Host, parse_error},
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
        value(
            command,
            OLD_EXCLUDE,
            true,
            "Older spelling of collector.netdev.device-exclude",
        )
    },
    make: |setup| {
        Ok(Box::new(Netdev {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
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
    default: "",
};

const fn desc(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Counter, help).labels(&["device"])
}

/// The columns of `/proc/net/dev` in their order (kernel, `dev_seq_printf_stats`), then what sysfs has beyond them.
const DESCS: [Desc; 17] = [
    desc(
        "node_network_receive_bytes_total",
        "Network device statistic receive_bytes.",
    ),
    desc(
        "node_network_receive_packets_total",
        "Network device statistic receive_packets.",
    ),
    desc(
        "node_network_receive_errs_total",
        "Network device statistic receive_errs.",
    ),
    desc(
        "node_network_receive_drop_total",
        "Network device statistic receive_drop.",
    ),
    desc(
        "node_network_receive_fifo_total",
        "Network device statistic receive_fifo.",
    ),
    desc(
        "node_network_receive_frame_total",
        "Network device statistic receive_frame.",
    ),
    desc(
        "node_network_receive_compressed_total",
        "Network device statistic receive_compressed.",
    ),
    desc(
        "node_network_receive_multicast_total",
        "Network device statistic receive_multicast.",
    ),
    desc(
        "node_network_transmit_bytes_total",
        "Network device statistic transmit_bytes.",
    ),
    desc(
        "node_network_transmit_packets_total",
        "Network device statistic transmit_packets.",
    ),
    desc(
        "node_network_transmit_errs_total",
        "Network device statistic transmit_errs.",
    ),
    desc(
        "node_network_transmit_drop_total",
        "Network device statistic transmit_drop.",
    ),
    desc(
        "node_network_transmit_fifo_total",
        "Network device statistic transmit_fifo.",
    ),
    desc(
        "node_network_transmit_colls_total",
        "Network device statistic transmit_colls.",
    ),
    desc(
        "node_network_transmit_carrier_total",
        "Network device statistic transmit_carrier.",
    ),
    desc(
        "node_network_transmit_compressed_total",
        "Network device statistic transmit_compressed.",
    ),
    NOHANDLER,
];
const NOHANDLER: Desc = desc(
    "node_network_receive_nohandler_total",
    "Network device statistic receive_nohandler.",
);

struct Netdev {
    host: Arc<Host>,
    filter: Filter,
}

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("net/dev");
        let text = self.host.read(&path)?;
        let mut families: Vec<_> = DESCS.iter().map(Family::of).collect();
        // Two lines of headings.
        for line in text.lines().skip(2) {
            let (device, values) = parse(line).ok_or_else(|| parse_error(&path, line))?;
            if self.filter.ignores(device) {
                continue;
            }
            let nohandler = format!("class/net/{device}/statistics/rx_nohandler");
            let nohandler = self.host.read(&self.host.sys(&nohandler)).ok();
            let nohandler = nohandler.and_then(|it| it.trim().parse().ok());
            for (family, value) in families.iter_mut().zip(values.into_iter().chain(nohandler)) {
                family.push(&[device], value);
            }
        }
        out.extend(families);
        Ok(())
    }
}

/// A device and its sixteen columns; a name may hold colons (aliases).
fn parse(line: &str) -> Option<(&str, [f64; 16])> {
    let (device, rest) = line.rsplit_once(':')?;
    let mut fields = rest.split_ascii_whitespace();
    let mut values = [0.0; 16];
    for value in &mut values {
        *value = fields.next()?.parse().ok()?;
    }
    Some((device.trim(), values))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines() {
        let (device, values) = parse("  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        assert_eq!((device, values[0], values[15]), ("eth0", 1.0, 16.0));
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
