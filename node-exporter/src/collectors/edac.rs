//! `node_edac_*`: errors that the memory corrected or could not, from `/sys/devices/system/edac/mc` (kernel, `admin-guide/ras.rst`).

use std::path::Path;

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "edac",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[
        CORRECTED,
        UNCORRECTED,
        ROW_CORRECTED,
        ROW_UNCORRECTED,
        CHANNEL_CORRECTED,
        CHANNEL_UNCORRECTED,
    ],
};

const CORRECTED: Desc = counter(
    "node_edac_correctable_errors_total",
    "Total correctable memory errors.",
)
.labels(&["controller"]);
const UNCORRECTED: Desc = counter(
    "node_edac_uncorrectable_errors_total",
    "Total uncorrectable memory errors.",
)
.labels(&["controller"]);
const ROW_CORRECTED: Desc = counter(
    "node_edac_csrow_correctable_errors_total",
    "Total correctable memory errors for this csrow.",
)
.labels(&["controller", "csrow"]);
const ROW_UNCORRECTED: Desc = counter(
    "node_edac_csrow_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this csrow.",
)
.labels(&["controller", "csrow"]);
const CHANNEL_CORRECTED: Desc = counter(
    "node_edac_channel_correctable_errors_total",
    "Total correctable memory errors for this channel.",
)
.labels(&["controller", "csrow", "channel", "dimm_label"]);
const CHANNEL_UNCORRECTED: Desc = counter(
    "node_edac_channel_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this channel.",
)
.labels(&["controller", "csrow", "channel", "dimm_label"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let [
        mut corrected,
        mut uncorrected,
        mut row_corrected,
        mut row_uncorrected,
        mut channel_corrected,
        mut channel_uncorrected,
    ] = [
        &CORRECTED,
        &UNCORRECTED,
        &ROW_CORRECTED,
        &ROW_UNCORRECTED,
        &CHANNEL_CORRECTED,
        &CHANNEL_UNCORRECTED,
    ]
    .map(Family::of);
    for (controller, path) in host.numbered(&host.sys("devices/system/edac/mc"), "mc") {
        let controller = controller.to_string();
        let count = |file| host.count(&path.join(file));
        corrected.push(&[&controller], count("ce_count")?);
        uncorrected.push(&[&controller], count("ue_count")?);
        row_corrected.push(&[&controller, "unknown"], count("ce_noinfo_count")?);
        row_uncorrected.push(&[&controller, "unknown"], count("ue_noinfo_count")?);
        for (row, path) in host.numbered(&path, "csrow") {
            let row = row.to_string();
            row_corrected.push(&[&controller, &row], host.count(&path.join("ce_count"))?);
            row_uncorrected.push(&[&controller, &row], host.count(&path.join("ue_count"))?);
            for file in host.names(&path)? {
                let Some(channel) = file
                    .strip_prefix("ch")
                    .and_then(|it| it.strip_suffix("_ce_count"))
                else {
                    continue;
                };
                if channel.is_empty() || !channel.bytes().all(|it| it.is_ascii_digit()) {
                    continue;
                }
                let label = dimm_label(host, &path.join(format!("ch{channel}_dimm_label")));
                let labels = [controller.as_str(), &row, channel, &label];
                channel_corrected.push(&labels, host.count(&path.join(&file))?);
                // Not every driver has it.
                if let Ok(count) = host.count(&path.join(format!("ch{channel}_ue_count"))) {
                    channel_uncorrected.push(&labels, count);
                }
            }
        }
    }
    out.extend([
        corrected,
        uncorrected,
        row_corrected,
        row_uncorrected,
        channel_corrected,
        channel_uncorrected,
    ]);
    Ok(())
}

/// `mc#0csrow#1channel#0` to `mc0_csrow1_channel0`.
fn dimm_label(host: &Host, path: &Path) -> String {
    match host.text(path) {
        Ok(label) => label
            .replace('#', "")
            .replace("csrow", "_csrow")
            .replace("channel", "_channel"),
        Err(_) => "unknown".to_owned(),
    }
}
