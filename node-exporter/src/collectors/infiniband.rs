//! `node_infiniband_*`, from `/sys/class/infiniband` (kernel, `sysfs-class-infiniband`).

use std::{path::Path, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, Named, gauge, labels};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::value,
    host::{Host, HostError, float, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "infiniband",
    default: true,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of infiniband devices to include (mutually exclusive to device-exclude)",
        );
        value(
            command,
            FILTER.exclude,
            false,
            "Regexp of infiniband devices to exclude (mutually exclusive to device-include)",
        )
    },
    make: |setup| {
        Ok(Box::new(Infiniband {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
        }))
    },
    // The counters are the adapter's.
    descs: &[INFO, STATE, PHYSICAL, RATE, LIFESPAN],
};

const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.infiniband.device-exclude",
    include: "collector.infiniband.device-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};

const INFO: Desc = gauge(
    "node_infiniband_info",
    "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.",
)
.labels(&["device", "board_id", "firmware_version", "hca_type"]);
const STATE: Desc = gauge(
    "node_infiniband_state_id",
    "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
)
.labels(&["device", "port"]);
const PHYSICAL: Desc = gauge(
    "node_infiniband_physical_state_id",
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)",
)
.labels(&["device", "port"]);
const RATE: Desc = gauge(
    "node_infiniband_rate_bytes_per_second",
    "Maximum signal transfer rate",
)
.labels(&["device", "port"]);
const LIFESPAN: Desc = gauge(
    "node_infiniband_lifespan_seconds",
    "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within this period might return the same values.",
)
.labels(&["device", "port"]);

struct Counter {
    file: &'static str,
    name: &'static str,
    help: &'static str,
    /// The bytes of one: data is counted in words of four.
    unit: u64,
}

macro_rules! number {
    ($file:literal, $name:literal, $help:literal) => {
        Counter {
            file: $file,
            name: concat!("node_infiniband_", $name),
            help: $help,
            unit: 1,
        }
    };
}
macro_rules! words {
    ($file:literal, $name:literal, $help:literal) => {
        Counter {
            file: $file,
            name: concat!("node_infiniband_", $name),
            help: $help,
            unit: 4,
        }
    };
}

/// A port's counters.
const COUNTERS: &[Counter] = &[
    number!(
        "counters_ext/port_multicast_rcv_packets",
        "legacy_multicast_packets_received_total",
        "Number of multicast packets received"
    ),
    number!(
        "counters_ext/port_multicast_xmit_packets",
        "legacy_multicast_packets_transmitted_total",
        "Number of multicast packets transmitted"
    ),
    words!(
        "counters_ext/port_rcv_data_64",
        "legacy_data_received_bytes_total",
        "Number of data octets received on all links"
    ),
    number!(
        "counters_ext/port_rcv_packets_64",
        "legacy_packets_received_total",
        "Number of data packets received on all links"
    ),
    number!(
        "counters_ext/port_unicast_rcv_packets",
        "legacy_unicast_packets_received_total",
        "Number of unicast packets received"
    ),
    number!(
        "counters_ext/port_unicast_xmit_packets",
        "legacy_unicast_packets_transmitted_total",
        "Number of unicast packets transmitted"
    ),
    words!(
        "counters_ext/port_xmit_data_64",
        "legacy_data_transmitted_bytes_total",
        "Number of data octets transmitted on all links"
    ),
    number!(
        "counters_ext/port_xmit_packets_64",
        "legacy_packets_transmitted_total",
        "Number of data packets received on all links"
    ),
    number!(
        "counters/excessive_buffer_overrun_errors",
        "excessive_buffer_overrun_errors_total",
        "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one overrun error."
    ),
    number!(
        "counters/link_downed",
        "link_downed_total",
        "Number of times the link failed to recover from an error state and went down"
    ),
    number!(
        "counters/link_error_recovery",
        "link_error_recovery_total",
        "Number of times the link successfully recovered from an error state"
    ),
    number!(
        "counters/local_link_integrity_errors",
        "local_link_integrity_errors_total",
        "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors."
    ),
    number!(
        "counters/multicast_rcv_packets",
        "multicast_packets_received_total",
        "Number of multicast packets received (including errors)"
    ),
    number!(
        "counters/multicast_xmit_packets",
        "multicast_packets_transmitted_total",
        "Number of multicast packets transmitted (including errors)"
    ),
    number!(
        "counters/port_rcv_constraint_errors",
        "port_constraint_errors_received_total",
        "Number of packets received on the switch physical port that are discarded"
    ),
    number!(
        "counters/port_xmit_constraint_errors",
        "port_constraint_errors_transmitted_total",
        "Number of packets not transmitted from the switch physical port"
    ),
    words!(
        "counters/port_rcv_data",
        "port_data_received_bytes_total",
        "Number of data octets received on all links"
    ),
    words!(
        "counters/port_xmit_data",
        "port_data_transmitted_bytes_total",
        "Number of data octets transmitted on all links"
    ),
    number!(
        "counters/port_rcv_discards",
        "port_discards_received_total",
        "Number of inbound packets discarded by the port because the port is down or congested"
    ),
    number!(
        "counters/port_xmit_discards",
        "port_discards_transmitted_total",
        "Number of outbound packets discarded by the port because the port is down or congested"
    ),
    number!(
        "counters/port_rcv_errors",
        "port_errors_received_total",
        "Number of packets containing an error that were received on this port"
    ),
    number!(
        "counters/port_rcv_packets",
        "port_packets_received_total",
        "Number of packets received on all VLs by this port (including errors)"
    ),
    number!(
        "counters/port_xmit_packets",
        "port_packets_transmitted_total",
        "Number of packets transmitted on all VLs from this port (including errors)"
    ),
    number!(
        "counters/port_xmit_wait",
        "port_transmit_wait_total",
        "Number of ticks during which the port had data to transmit but no data was sent during the entire tick"
    ),
    number!(
        "counters/unicast_rcv_packets",
        "unicast_packets_received_total",
        "Number of unicast packets received (including errors)"
    ),
    number!(
        "counters/unicast_xmit_packets",
        "unicast_packets_transmitted_total",
        "Number of unicast packets transmitted (including errors)"
    ),
    number!(
        "counters/port_rcv_remote_physical_errors",
        "port_receive_remote_physical_errors_total",
        "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port."
    ),
    number!(
        "counters/port_rcv_switch_relay_errors",
        "port_receive_switch_relay_errors_total",
        "Number of packets that could not be forwarded by the switch."
    ),
    number!(
        "counters/symbol_error",
        "symbol_error_total",
        "Number of minor link errors detected on one or more physical lanes."
    ),
    number!(
        "counters/VL15_dropped",
        "vl15_dropped_total",
        "Number of incoming VL15 packets dropped due to resource limitations."
    ),
    number!(
        "hw_counters/duplicate_request",
        "duplicate_requests_packets_total",
        "The number of received packets. A duplicate request is a request that had been previously executed."
    ),
    number!(
        "hw_counters/implied_nak_seq_err",
        "implied_nak_seq_errors_total",
        "The number of time the requested decided an ACK. with a PSN larger than the expected PSN for an RDMA read or response."
    ),
    number!(
        "hw_counters/local_ack_timeout_err",
        "local_ack_timeout_errors_total",
        "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender side. The QP retry limit was not exceed, therefore it is still recoverable error."
    ),
    number!(
        "hw_counters/np_cnp_sent",
        "np_cnp_packets_sent_total",
        "The number of CNP packets sent by the Notification Point when it noticed congestion experienced in the RoCEv2 IP header (ECN bits). The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/np_ecn_marked_roce_packets",
        "np_ecn_marked_roce_packets_received_total",
        "The number of RoCEv2 packets received by the notification point which were marked for experiencing the congestion (ECN bits where '11' on the ingress RoCE traffic) . The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/out_of_buffer",
        "out_of_buffer_drops_total",
        "The number of drops occurred due to lack of WQE for the associated QPs."
    ),
    number!(
        "hw_counters/out_of_sequence",
        "out_of_sequence_packets_received_total",
        "The number of out of sequence packets received."
    ),
    number!(
        "hw_counters/packet_seq_err",
        "packet_sequence_errors_total",
        "The number of received NAK sequence error packets. The QP retry limit was not exceeded."
    ),
    number!(
        "hw_counters/req_cqe_error",
        "req_cqes_errors_total",
        "The number of times requester detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/req_cqe_flush_error",
        "req_cqes_flush_errors_total",
        "The number of times requester detected CQEs completed with flushed errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/req_remote_access_errors",
        "req_remote_access_errors_total",
        "The number of times requester detected remote access errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/req_remote_invalid_request",
        "req_remote_invalid_request_errors_total",
        "The number of times requester detected remote invalid request errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/resp_cqe_error",
        "resp_cqes_errors_total",
        "The number of times responder detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/resp_cqe_flush_error",
        "resp_cqes_flush_errors_total",
        "The number of times responder detected CQEs completed with flushed errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/resp_local_length_error",
        "resp_local_length_errors_total",
        "The number of times responder detected local length errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/resp_remote_access_errors",
        "resp_remote_access_errors_total",
        "The number of times responder detected remote access errors. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/rnr_nak_retry_err",
        "rnr_nak_retry_packets_received_total",
        "The number of received RNR NAK packets. The QP retry limit was not exceeded."
    ),
    number!(
        "hw_counters/roce_adp_retrans",
        "roce_adp_retransmits_total",
        "The number of adaptive retransmissions for RoCE traffic. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    number!(
        "hw_counters/roce_adp_retrans_to",
        "roce_adp_retransmits_timeout_total",
        "The number of times RoCE traffic reached timeout due to adaptive retransmission. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    number!(
        "hw_counters/roce_slow_restart",
        "roce_slow_restart_used_total",
        "The number of times RoCE slow restart was used. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    number!(
        "hw_counters/roce_slow_restart_cnps",
        "roce_slow_restart_cnps_total",
        "The number of times RoCE slow restart generated CNP packets. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    number!(
        "hw_counters/roce_slow_restart_trans",
        "roce_slow_restart_total",
        "The number of times RoCE slow restart changed state to slow restart. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"
    ),
    number!(
        "hw_counters/rp_cnp_handled",
        "rp_cnp_packets_handled_total",
        "The number of CNP packets handled by the Reaction Point HCA to throttle the transmission rate. The counters was added in MLNX_OFED 4.1"
    ),
    number!(
        "hw_counters/rp_cnp_ignored",
        "rp_cnp_ignored_packets_received_total",
        "The number of CNP packets received and ignored by the Reaction Point HCA. This counter should not raise if RoCE Congestion Control was enabled in the network. If this counter raise, verify that ECN was enabled on the adapter."
    ),
    number!(
        "hw_counters/rx_atomic_requests",
        "rx_atomic_requests_total",
        "The number of received ATOMIC request for the associated QPs."
    ),
    number!(
        "hw_counters/rx_dct_connect",
        "rx_dct_connect_requests_total",
        "The number of received connection requests for the associated DCTs."
    ),
    number!(
        "hw_counters/rx_read_requests",
        "rx_read_requests_total",
        "The number of received READ requests for the associated QPs."
    ),
    number!(
        "hw_counters/rx_write_requests",
        "rx_write_requests_total",
        "The number of received WRITE requests for the associated QPs."
    ),
    number!(
        "hw_counters/rx_icrc_encapsulated",
        "rx_icrc_encapsulated_errors_total",
        "The number of RoCE packets with ICRC errors. This counter was added in MLNX_OFED 4.4 and kernel 4.19"
    ),
];

struct Infiniband {
    host: Arc<Host>,
    filter: Filter,
}

impl Collector for Infiniband {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let host = &self.host;
        let folder = host.sys("class/infiniband");
        let [mut info, mut states, mut physical, mut rates, mut lifespans] =
            [&INFO, &STATE, &PHYSICAL, &RATE, &LIFESPAN].map(Family::of);
        let mut named = Named::default();
        for device in host.names(&folder)? {
            if self.filter.ignores(&device) {
                continue;
            }
            let path = folder.join(&device);
            let text = |file| Ok::<_, HostError>(host.maybe(&path.join(file))?.unwrap_or_default());
            let firmware = host.text(&path.join("fw_ver"))?;
            info.push(
                &[&device, &text("board_id")?, &firmware, &text("hca_type")?],
                1.0,
            );
            for port in host.names(&path.join("ports"))? {
                let path = path.join("ports").join(&port);
                let both = [device.as_str(), port.as_str()];
                states.push(&both, state(host, &path.join("state"))?);
                physical.push(&both, state(host, &path.join("phys_state"))?);
                rates.push(&both, rate(host, &path.join("rate"))?);
                for counter in COUNTERS {
                    let Some(count) = count(host, &path.join(counter.file))? else {
                        continue;
                    };
                    let labels = labels([("device", device.as_str()), ("port", port.as_str())]);
                    let help = || counter.help.to_owned();
                    let count = float(count.wrapping_mul(counter.unit));
                    named.push(counter.name, Kind::Counter, help, labels, count);
                }
                if let Some(milliseconds) = count(host, &path.join("hw_counters/lifespan"))? {
                    lifespans.push(&both, float(milliseconds / 1000));
                }
            }
        }
        out.extend([info, states, physical, rates, lifespans]);
        out.extend(named.families());
        Ok(())
    }
}

/// A counter that the adapter has; some say `N/A (no PMA)`.
fn count(host: &Host, path: &Path) -> Result<Option<u64>, HostError> {
    match host.maybe(path)? {
        Some(text) if text.contains("N/A (no PMA)") => Ok(None),
        Some(text) => match text.parse() {
            Ok(count) => Ok(Some(count)),
            Err(_) => Err(parse_error(path, text)),
        },
        None => Ok(None),
    }
}

/// `4: ACTIVE`
fn state(host: &Host, path: &Path) -> Result<f64, HostError> {
    let text = host.text(path)?;
    let id = text
        .split_once(':')
        .and_then(|(id, _)| id.trim().parse::<u32>().ok());
    id.map(f64::from).ok_or_else(|| parse_error(path, text))
}

/// `40 Gb/sec (4X QDR)` in bytes.
fn rate(host: &Host, path: &Path) -> Result<f64, HostError> {
    let text = host.text(path)?;
    let rate = text
        .split_once(' ')
        .and_then(|(rate, _)| rate.parse::<f32>().ok());
    let rate = rate.ok_or_else(|| parse_error(path, text))?;
    Ok((f64::from(rate) * 125_000_000.0).trunc())
}
