//! `node_xfrm_*`: errors of IPsec, from `/proc/net/xfrm_stat` (kernel, `networking/xfrm_proc.rst`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::{Host, integer, parse_error, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "xfrm",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &DESCS,
};

macro_rules! xfrm {
    ($field:literal, $name:literal, $help:literal) => {
        ($field, counter(concat!("node_xfrm_", $name), $help))
    };
}

const FIELDS: [(&str, Desc); 28] = [
    xfrm!(
        "XfrmInError",
        "in_error_packets_total",
        "All errors not matched by other"
    ),
    xfrm!(
        "XfrmInBufferError",
        "in_buffer_error_packets_total",
        "No buffer is left"
    ),
    xfrm!(
        "XfrmInHdrError",
        "in_hdr_error_packets_total",
        "Header error"
    ),
    xfrm!(
        "XfrmInNoStates",
        "in_no_states_packets_total",
        "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong"
    ),
    xfrm!(
        "XfrmInStateProtoError",
        "in_state_proto_error_packets_total",
        "Transformation protocol specific error e.g. SA key is wrong"
    ),
    xfrm!(
        "XfrmInStateModeError",
        "in_state_mode_error_packets_total",
        "Transformation mode specific error"
    ),
    xfrm!(
        "XfrmInStateSeqError",
        "in_state_seq_error_packets_total",
        "Sequence error i.e. Sequence number is out of window"
    ),
    xfrm!(
        "XfrmInStateExpired",
        "in_state_expired_packets_total",
        "State is expired"
    ),
    xfrm!(
        "XfrmInStateMismatch",
        "in_state_mismatch_packets_total",
        "State has mismatch option e.g. UDP encapsulation type is mismatch"
    ),
    xfrm!(
        "XfrmInStateInvalid",
        "in_state_invalid_packets_total",
        "State is invalid"
    ),
    xfrm!(
        "XfrmInTmplMismatch",
        "in_tmpl_mismatch_packets_total",
        "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong"
    ),
    xfrm!(
        "XfrmInNoPols",
        "in_no_pols_packets_total",
        "No policy is found for states e.g. Inbound SAs are correct but no SP is found"
    ),
    xfrm!(
        "XfrmInPolBlock",
        "in_pol_block_packets_total",
        "Policy discards"
    ),
    xfrm!(
        "XfrmInPolError",
        "in_pol_error_packets_total",
        "Policy error"
    ),
    xfrm!(
        "XfrmOutError",
        "out_error_packets_total",
        "All errors which is not matched others"
    ),
    xfrm!(
        "XfrmOutBundleGenError",
        "out_bundle_gen_error_packets_total",
        "Bundle generation error"
    ),
    xfrm!(
        "XfrmOutBundleCheckError",
        "out_bundle_check_error_packets_total",
        "Bundle check error"
    ),
    xfrm!(
        "XfrmOutNoStates",
        "out_no_states_packets_total",
        "No state is found"
    ),
    xfrm!(
        "XfrmOutStateProtoError",
        "out_state_proto_error_packets_total",
        "Transformation protocol specific error"
    ),
    xfrm!(
        "XfrmOutStateModeError",
        "out_state_mode_error_packets_total",
        "Transformation mode specific error"
    ),
    xfrm!(
        "XfrmOutStateSeqError",
        "out_state_seq_error_packets_total",
        "Sequence error i.e. Sequence number overflow"
    ),
    xfrm!(
        "XfrmOutStateExpired",
        "out_state_expired_packets_total",
        "State is expired"
    ),
    xfrm!(
        "XfrmOutPolBlock",
        "out_pol_block_packets_total",
        "Policy discards"
    ),
    xfrm!(
        "XfrmOutPolDead",
        "out_pol_dead_packets_total",
        "Policy is dead"
    ),
    xfrm!(
        "XfrmOutPolError",
        "out_pol_error_packets_total",
        "Policy error"
    ),
    xfrm!(
        "XfrmFwdHdrError",
        "fwd_hdr_error_packets_total",
        "Forward routing of a packet is not allowed"
    ),
    xfrm!(
        "XfrmOutStateInvalid",
        "out_state_invalid_packets_total",
        "State is invalid, perhaps expired"
    ),
    xfrm!(
        "XfrmAcquireError",
        "acquire_error_packets_total",
        "State hasn’t been fully acquired before use"
    ),
];

const DESCS: [Desc; FIELDS.len()] = {
    let mut descs = [FIELDS[0].1; FIELDS.len()];
    let mut at = 0;
    while at < FIELDS.len() {
        descs[at] = FIELDS[at].1;
        at += 1;
    }
    descs
};

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let path = host.proc("net/xfrm_stat");
    let text = host.read(&path)?;
    let mut values = [0; FIELDS.len()];
    for line in text.lines() {
        let (name, value) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| parse_error(&path, line))?;
        let value = integer(value.trim()).ok_or_else(|| parse_error(&path, line))?;
        // What a newer kernel counts beyond these is left out.
        if let Some(at) = FIELDS.iter().position(|(field, _)| *field == name)
            && let Some(room) = values.get_mut(at)
        {
            *room = value;
        }
    }
    out.extend(
        DESCS
            .iter()
            .zip(values)
            .map(|(desc, value)| Family::single(desc, signed(value))),
    );
    Ok(())
}
