//! `node_zoneinfo_*`: memory by zone, from `/proc/zoneinfo` (proc_zoneinfo(5)).

use daemon::CollectError;
use exposition::{Desc, Family, Kind};

use super::{Entry, Named, counter, gauge, labels, no_flags};
use crate::host::{Host, integer, signed};

pub(super) const ENTRY: Entry = Entry {
    name: "zoneinfo",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &DESCS,
};

macro_rules! zone {
    ($kind:ident, $field:literal, $name:literal, $help:literal) => {
        (
            $field,
            $kind(concat!("node_zoneinfo_", $name), $help).labels(&["node", "zone"]),
        )
    };
}

const FIELDS: [(&str, Desc); 34] = [
    zone!(
        gauge,
        "nr_free_pages",
        "nr_free_pages",
        "Total number of free pages in the zone"
    ),
    zone!(gauge, "min", "min_pages", "Zone watermark pages_min"),
    zone!(gauge, "low", "low_pages", "Zone watermark pages_low"),
    zone!(gauge, "high", "high_pages", "Zone watermark pages_high"),
    zone!(
        gauge,
        "scanned",
        "scanned_pages",
        "Pages scanned since last reclaim"
    ),
    zone!(
        gauge,
        "spanned",
        "spanned_pages",
        "Total pages spanned by the zone, including holes"
    ),
    zone!(
        gauge,
        "present",
        "present_pages",
        "Physical pages existing within the zone"
    ),
    zone!(
        gauge,
        "managed",
        "managed_pages",
        "Present pages managed by the buddy system"
    ),
    zone!(
        gauge,
        "nr_active_anon",
        "nr_active_anon_pages",
        "Number of anonymous pages recently more used"
    ),
    zone!(
        gauge,
        "nr_inactive_anon",
        "nr_inactive_anon_pages",
        "Number of anonymous pages recently less used"
    ),
    zone!(
        gauge,
        "nr_isolated_anon",
        "nr_isolated_anon_pages",
        "Temporary isolated pages from anon lru"
    ),
    zone!(
        gauge,
        "nr_anon_pages",
        "nr_anon_pages",
        "Number of anonymous pages currently used by the system"
    ),
    zone!(
        gauge,
        "nr_anon_transparent_hugepages",
        "nr_anon_transparent_hugepages",
        "Number of anonymous transparent huge pages currently used by the system"
    ),
    zone!(
        gauge,
        "nr_active_file",
        "nr_active_file_pages",
        "Number of active pages with file-backing"
    ),
    zone!(
        gauge,
        "nr_inactive_file",
        "nr_inactive_file_pages",
        "Number of inactive pages with file-backing"
    ),
    zone!(
        gauge,
        "nr_isolated_file",
        "nr_isolated_file_pages",
        "Temporary isolated pages from file lru"
    ),
    zone!(
        gauge,
        "nr_file_pages",
        "nr_file_pages",
        "Number of file pages"
    ),
    zone!(
        gauge,
        "nr_slab_reclaimable",
        "nr_slab_reclaimable_pages",
        "Number of reclaimable slab pages"
    ),
    zone!(
        gauge,
        "nr_slab_unreclaimable",
        "nr_slab_unreclaimable_pages",
        "Number of unreclaimable slab pages"
    ),
    zone!(
        gauge,
        "nr_mlock_stack",
        "nr_mlock_stack_pages",
        "mlock()ed pages found and moved off LRU"
    ),
    zone!(
        gauge,
        "nr_kernel_stack",
        "nr_kernel_stacks",
        "Number of kernel stacks"
    ),
    zone!(
        gauge,
        "nr_mapped",
        "nr_mapped_pages",
        "Number of mapped pages"
    ),
    zone!(gauge, "nr_dirty", "nr_dirty_pages", "Number of dirty pages"),
    zone!(
        gauge,
        "nr_writeback",
        "nr_writeback_pages",
        "Number of writeback pages"
    ),
    zone!(
        gauge,
        "nr_unevictable",
        "nr_unevictable_pages",
        "Number of unevictable pages"
    ),
    zone!(
        gauge,
        "nr_shmem",
        "nr_shmem_pages",
        "Number of shmem pages (included tmpfs/GEM pages)"
    ),
    zone!(
        counter,
        "nr_dirtied",
        "nr_dirtied_total",
        "Page dirtyings since bootup"
    ),
    zone!(
        counter,
        "nr_written",
        "nr_written_total",
        "Page writings since bootup"
    ),
    zone!(
        counter,
        "numa_hit",
        "numa_hit_total",
        "Allocated in intended node"
    ),
    zone!(
        counter,
        "numa_miss",
        "numa_miss_total",
        "Allocated in non intended node"
    ),
    zone!(
        counter,
        "numa_foreign",
        "numa_foreign_total",
        "Was intended here, hit elsewhere"
    ),
    zone!(
        counter,
        "numa_interleave",
        "numa_interleave_total",
        "Interleaver preferred this zone"
    ),
    zone!(
        counter,
        "numa_local",
        "numa_local_total",
        "Allocation from local node"
    ),
    zone!(
        counter,
        "numa_other",
        "numa_other_total",
        "Allocation from other node"
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
    let text = host.read(&host.proc("zoneinfo"))?;
    let mut families: Vec<_> = DESCS.iter().map(Family::of).collect();
    let mut protections = Named::default();
    let mut at = ("", "");
    // A field may stand twice; the last one counts, as it is the newer kernel's way to say it.
    let mut seen = Vec::new();
    for line in text.lines() {
        // `Node 0, zone   Normal`
        if let Some(rest) = line.strip_prefix("Node ") {
            flush(&mut families, at, &mut seen);
            if let Some((node, zone)) = rest.split_once(", zone") {
                at = (node, zone.trim());
            }
            continue;
        }
        if let Some(list) = line.trim().strip_prefix("protection:") {
            let list = list.trim().trim_start_matches('(').trim_end_matches(')');
            let values: Option<Vec<_>> = list.split(", ").map(integer).collect();
            for (index, value) in values.unwrap_or_default().into_iter().enumerate() {
                protections.push(
                    &format!("node_zoneinfo_protection_{index}"),
                    Kind::Gauge,
                    || format!("Protection array {index}. field"),
                    labels([("node", at.0), ("zone", at.1)]),
                    signed(value),
                );
            }
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        if let (Some(name), Some(value)) = (words.next(), words.next())
            && let Some(index) = FIELDS.iter().position(|(field, _)| *field == name)
            && let Some(value) = integer(value)
        {
            seen.retain(|(its, _)| *its != index);
            seen.push((index, value));
        }
    }
    flush(&mut families, at, &mut seen);
    out.extend(families);
    out.extend(protections.families());
    Ok(())
}

/// Writes what was read of a zone.
fn flush(families: &mut [Family], (node, zone): (&str, &str), seen: &mut Vec<(usize, i64)>) {
    for (index, value) in seen.drain(..) {
        if let Some(family) = families.get_mut(index) {
            family.push(&[node, zone], signed(value));
        }
    }
}
