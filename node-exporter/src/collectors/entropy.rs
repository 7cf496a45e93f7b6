//! `node_entropy_*`, from `/proc/sys/kernel/random`.

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "entropy",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[AVAILABLE, POOL],
};

const AVAILABLE: Desc = gauge("node_entropy_available_bits", "Bits of available entropy.");
const POOL: Desc = gauge("node_entropy_pool_size_bits", "Bits of entropy pool.");

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    for (desc, file) in [(&AVAILABLE, "entropy_avail"), (&POOL, "poolsize")] {
        let value = host.count(&host.proc("sys/kernel/random").join(file))?;
        out.push(Family::single(desc, value));
    }
    Ok(())
}
