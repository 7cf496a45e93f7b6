//! `node_fibrechannel_*`, from `/sys/class/fc_host` (kernel, `scsi/scsi_fc_transport.rst`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, gauge, no_flags};
use crate::host::{Host, HostError, float, integer, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "fibrechannel",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        INFO,
        COUNTERS[0].1,
        COUNTERS[1].1,
        COUNTERS[2].1,
        COUNTERS[3].1,
        COUNTERS[4].1,
        COUNTERS[5].1,
        COUNTERS[6].1,
        COUNTERS[7].1,
        COUNTERS[8].1,
        COUNTERS[9].1,
        COUNTERS[10].1,
        COUNTERS[11].1,
        COUNTERS[12].1,
        COUNTERS[13].1,
    ],
};

const INFO: Desc = gauge(
    "node_fibrechannel_info",
    "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.",
)
.labels(&[
    "fc_host",
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
]);

macro_rules! count {
    ($file:literal, $name:literal, $help:literal) => {
        (
            $file,
            counter(concat!("node_fibrechannel_", $name), $help).labels(&["fc_host"]),
        )
    };
}

const COUNTERS: [(&str, Desc); 14] = [
    count!(
        "dumped_frames",
        "dumped_frames_total",
        "Number of dumped frames"
    ),
    count!(
        "error_frames",
        "error_frames_total",
        "Number of errors in frames"
    ),
    count!(
        "invalid_crc_count",
        "invalid_crc_total",
        "Invalid Cyclic Redundancy Check count"
    ),
    count!("rx_frames", "rx_frames_total", "Number of frames received"),
    count!(
        "rx_words",
        "rx_words_total",
        "Number of words received by host port"
    ),
    count!(
        "tx_frames",
        "tx_frames_total",
        "Number of frames transmitted by host port"
    ),
    count!(
        "tx_words",
        "tx_words_total",
        "Number of words transmitted by host port"
    ),
    count!(
        "seconds_since_last_reset",
        "seconds_since_last_reset_total",
        "Number of seconds since last host port reset"
    ),
    count!(
        "invalid_tx_word_count",
        "invalid_tx_words_total",
        "Number of invalid words transmitted by host port"
    ),
    count!(
        "link_failure_count",
        "link_failure_total",
        "Number of times the host port link has failed"
    ),
    count!(
        "loss_of_sync_count",
        "loss_of_sync_total",
        "Number of failures on either bit or transmission word boundaries"
    ),
    count!(
        "loss_of_signal_count",
        "loss_of_signal_total",
        "Number of times signal has been lost"
    ),
    count!(
        "nos_count",
        "nos_total",
        "Number Not_Operational Primitive Sequence received by host port"
    ),
    count!(
        "fcp_packet_aborts",
        "fcp_packet_aborts_total",
        "Number of aborted packets"
    ),
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("class/fc_host");
    let mut info = Family::of(&INFO);
    let mut families: Vec<_> = COUNTERS.iter().map(|(_, desc)| Family::of(desc)).collect();
    for name in host.names(&folder)? {
        let path = folder.join(&name);
        let mut values = vec![name.clone()];
        for file in INFO.labels.iter().skip(1) {
            let text = host.maybe(&path.join(file))?.unwrap_or_default();
            // Numbers of ports and names are shown without their 0x.
            let number = matches!(*file, "port_id" | "port_name" | "fabric_name");
            let text = if number {
                text.get(2..).filter(|it| !it.is_empty()).unwrap_or(&text)
            } else {
                &text
            };
            values.push(text.to_owned());
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        info.push(&values, 1.0);
        for (family, (file, _)) in families.iter_mut().zip(&COUNTERS) {
            let path = path.join("statistics").join(file);
            let Some(text) = host.maybe(&path)? else {
                continue;
            };
            let count = unsigned(&text).ok_or_else(|| -> HostError { parse_error(&path, text) })?;
            // What the adapter does not count is all ones.
            if count != u64::MAX {
                family.push(&[&name], float(count));
            }
        }
    }
    out.push(info);
    out.extend(families);
    Ok(())
}

/// Numbers are in base 16, with `0x`.
fn unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => integer(text).and_then(|it| u64::try_from(it).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::unsigned;

    #[test]
    fn numbers() {
        for (text, expect) in [
            ("0x13", Some(19)),
            ("0xffffffffffffffff", Some(u64::MAX)),
            ("12", Some(12)),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(unsigned(text), expect, "{text}");
        }
    }
}
