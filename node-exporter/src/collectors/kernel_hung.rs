//! `node_kernel_hung_tasks_total`, from `/proc/sys/kernel/hung_task_detect_count` (Linux 6.13).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "kernel_hung",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[TASKS],
};

const TASKS: Desc = counter(
    "node_kernel_hung_tasks_total",
    "Total number of tasks that have been detected as hung since the system booted.",
);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let count = host.count(&host.proc("sys/kernel/hung_task_detect_count"))?;
    out.push(Family::single(&TASKS, count));
    Ok(())
}
