//! `node_bonding_*`, from `/sys/class/net/<bond>` (kernel, `networking/bonding.rst`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::{Host, HostError};

pub(super) const ENTRY: Entry = Entry {
    name: "bonding",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[SLAVES, ACTIVE],
};

const SLAVES: Desc = gauge(
    "node_bonding_slaves",
    "Number of configured slaves per bonding interface.",
)
.labels(&["master"]);
const ACTIVE: Desc = gauge(
    "node_bonding_active",
    "Number of active slaves per bonding interface.",
)
.labels(&["master"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("class/net");
    let masters = host.text(&folder.join("bonding_masters"))?;
    let [mut slaves, mut active] = [&SLAVES, &ACTIVE].map(Family::of);
    for master in masters.split_ascii_whitespace() {
        let path = folder.join(master);
        let (mut all, mut up) = (0_u32, 0_u32);
        for slave in host
            .text(&path.join("bonding/slaves"))?
            .split_ascii_whitespace()
        {
            // `slave_eth0` before Linux 3.19.
            let status =
                |kind| host.text(&path.join(format!("{kind}_{slave}/bonding_slave/mii_status")));
            let status = status("lower").or_else(|error: HostError| {
                if error.is_missing() {
                    status("slave")
                } else {
                    Err(error)
                }
            })?;
            all += 1;
            up += u32::from(status == "up");
        }
        slaves.push(&[master], f64::from(all));
        active.push(&[master], f64::from(up));
    }
    out.extend([slaves, active]);
    Ok(())
}
