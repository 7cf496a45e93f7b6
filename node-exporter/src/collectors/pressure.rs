//! `node_pressure_*`, from `/proc/pressure` (kernel, `accounting/psi.rst`).

use daemon::CollectError;
use exposition::{Desc, Family};
use rustix::io::Errno;

use super::{Entry, counter, no_flags};
use crate::host::{Host, float, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "pressure",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[CPU, IO, IO_FULL, MEMORY, MEMORY_FULL, IRQ_FULL],
};

const CPU: Desc = counter(
    "node_pressure_cpu_waiting_seconds_total",
    "Total time in seconds that processes have waited for CPU time",
);
const IO: Desc = counter(
    "node_pressure_io_waiting_seconds_total",
    "Total time in seconds that processes have waited due to IO congestion",
);
const IO_FULL: Desc = counter(
    "node_pressure_io_stalled_seconds_total",
    "Total time in seconds no process could make progress due to IO congestion",
);
const MEMORY: Desc = counter(
    "node_pressure_memory_waiting_seconds_total",
    "Total time in seconds that processes have waited for memory",
);
const MEMORY_FULL: Desc = counter(
    "node_pressure_memory_stalled_seconds_total",
    "Total time in seconds no process could make progress due to memory congestion",
);
const IRQ_FULL: Desc = counter(
    "node_pressure_irq_stalled_seconds_total",
    "Total time in seconds no process could make progress due to IRQ congestion",
);

/// The files, and what is shown of their lines `some` and `full`; `irq` is there since Linux 6.1.
const FILES: [(&str, Option<Desc>, Option<Desc>); 4] = [
    ("cpu", Some(CPU), None),
    ("io", Some(IO), Some(IO_FULL)),
    ("memory", Some(MEMORY), Some(MEMORY_FULL)),
    ("irq", None, Some(IRQ_FULL)),
];

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let mut found = false;
    for (file, some, full) in &FILES {
        let path = host.proc("pressure").join(file);
        let text = match host.read(&path) {
            Ok(text) => text,
            Err(error) if error.is_missing() => continue,
            // Compiled in, and switched off unless the kernel is started with psi=1.
            Err(error) if error.is(Errno::OPNOTSUPP) => {
                return Err(CollectError::NoData);
            }
            Err(error) => return Err(error.into()),
        };
        for (desc, line) in [(some, "some "), (full, "full ")] {
            let Some(desc) = desc else { continue };
            let total = text
                .lines()
                .find_map(|it| it.strip_prefix(line))
                .ok_or(CollectError::NoData)?
                .rsplit_once("total=")
                .and_then(|(_, it)| it.parse().ok())
                .ok_or_else(|| parse_error(&path, text.as_str()))?;
            // In microseconds.
            out.push(Family::single(desc, float(total) / 1000.0 / 1000.0));
        }
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(CollectError::NoData)
    }
}
