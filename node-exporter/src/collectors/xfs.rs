//! `node_xfs_*`, from `/sys/fs/xfs/<device>/stats/stats` (kernel, `fs/xfs/xfs_stats.c`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, counter, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "xfs",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &DESCS,
};

/// A field of a line of the file.
struct Stat {
    line: &'static str,
    field: usize,
    desc: Desc,
}

macro_rules! stat {
    ($line:literal, $field:literal, $name:literal, $help:literal) => {
        Stat {
            line: $line,
            field: $field,
            desc: counter(concat!("node_xfs_", $name), $help).labels(&["device"]),
        }
    };
}

const STATS: [Stat; 39] = [
    stat!(
        "extent_alloc",
        0,
        "extent_allocation_extents_allocated_total",
        "Number of extents allocated for a filesystem."
    ),
    stat!(
        "extent_alloc",
        1,
        "extent_allocation_blocks_allocated_total",
        "Number of blocks allocated for a filesystem."
    ),
    stat!(
        "extent_alloc",
        2,
        "extent_allocation_extents_freed_total",
        "Number of extents freed for a filesystem."
    ),
    stat!(
        "extent_alloc",
        3,
        "extent_allocation_blocks_freed_total",
        "Number of blocks freed for a filesystem."
    ),
    stat!(
        "abt",
        0,
        "allocation_btree_lookups_total",
        "Number of allocation B-tree lookups for a filesystem."
    ),
    stat!(
        "abt",
        1,
        "allocation_btree_compares_total",
        "Number of allocation B-tree compares for a filesystem."
    ),
    stat!(
        "abt",
        2,
        "allocation_btree_records_inserted_total",
        "Number of allocation B-tree records inserted for a filesystem."
    ),
    stat!(
        "abt",
        3,
        "allocation_btree_records_deleted_total",
        "Number of allocation B-tree records deleted for a filesystem."
    ),
    stat!(
        "blk_map",
        0,
        "block_mapping_reads_total",
        "Number of block map for read operations for a filesystem."
    ),
    stat!(
        "blk_map",
        1,
        "block_mapping_writes_total",
        "Number of block map for write operations for a filesystem."
    ),
    stat!(
        "blk_map",
        2,
        "block_mapping_unmaps_total",
        "Number of block unmaps (deletes) for a filesystem."
    ),
    stat!(
        "blk_map",
        3,
        "block_mapping_extent_list_insertions_total",
        "Number of extent list insertions for a filesystem."
    ),
    stat!(
        "blk_map",
        4,
        "block_mapping_extent_list_deletions_total",
        "Number of extent list deletions for a filesystem."
    ),
    stat!(
        "blk_map",
        5,
        "block_mapping_extent_list_lookups_total",
        "Number of extent list lookups for a filesystem."
    ),
    stat!(
        "blk_map",
        6,
        "block_mapping_extent_list_compares_total",
        "Number of extent list compares for a filesystem."
    ),
    stat!(
        "bmbt",
        0,
        "block_map_btree_lookups_total",
        "Number of block map B-tree lookups for a filesystem."
    ),
    stat!(
        "bmbt",
        1,
        "block_map_btree_compares_total",
        "Number of block map B-tree compares for a filesystem."
    ),
    stat!(
        "bmbt",
        2,
        "block_map_btree_records_inserted_total",
        "Number of block map B-tree records inserted for a filesystem."
    ),
    stat!(
        "bmbt",
        3,
        "block_map_btree_records_deleted_total",
        "Number of block map B-tree records deleted for a filesystem."
    ),
    stat!(
        "dir",
        0,
        "directory_operation_lookup_total",
        "Number of file name directory lookups which miss the operating systems directory name lookup cache."
    ),
    stat!(
        "dir",
        1,
        "directory_operation_create_total",
        "Number of times a new directory entry was created for a filesystem."
    ),
    stat!(
        "dir",
        2,
        "directory_operation_remove_total",
        "Number of times an existing directory entry was created for a filesystem."
    ),
    stat!(
        "dir",
        3,
        "directory_operation_getdents_total",
        "Number of times the directory getdents operation was performed for a filesystem."
    ),
    stat!(
        "ig",
        0,
        "inode_operation_attempts_total",
        "Number of times the OS looked for an XFS inode in the inode cache."
    ),
    stat!(
        "ig",
        1,
        "inode_operation_found_total",
        "Number of times the OS looked for and found an XFS inode in the inode cache."
    ),
    stat!(
        "ig",
        2,
        "inode_operation_recycled_total",
        "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled."
    ),
    stat!(
        "ig",
        3,
        "inode_operation_missed_total",
        "Number of times the OS looked for an XFS inode in the cache, but did not find it."
    ),
    stat!(
        "ig",
        4,
        "inode_operation_duplicates_total",
        "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process."
    ),
    stat!(
        "ig",
        5,
        "inode_operation_reclaims_total",
        "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose."
    ),
    stat!(
        "ig",
        6,
        "inode_operation_attribute_changes_total",
        "Number of times the OS explicitly changed the attributes of an XFS inode."
    ),
    stat!(
        "rw",
        1,
        "read_calls_total",
        "Number of read(2) system calls made to files in a filesystem."
    ),
    stat!(
        "rw",
        0,
        "write_calls_total",
        "Number of write(2) system calls made to files in a filesystem."
    ),
    stat!(
        "vnodes",
        0,
        "vnode_active_total",
        "Number of vnodes not on free lists for a filesystem."
    ),
    stat!(
        "vnodes",
        1,
        "vnode_allocate_total",
        "Number of times vn_alloc called for a filesystem."
    ),
    stat!(
        "vnodes",
        2,
        "vnode_get_total",
        "Number of times vn_get called for a filesystem."
    ),
    stat!(
        "vnodes",
        3,
        "vnode_hold_total",
        "Number of times vn_hold called for a filesystem."
    ),
    stat!(
        "vnodes",
        4,
        "vnode_release_total",
        "Number of times vn_rele called for a filesystem."
    ),
    stat!(
        "vnodes",
        5,
        "vnode_reclaim_total",
        "Number of times vn_reclaim called for a filesystem."
    ),
    stat!(
        "vnodes",
        6,
        "vnode_remove_total",
        "Number of times vn_remove called for a filesystem."
    ),
];

const DESCS: [Desc; STATS.len()] = {
    let mut descs = [STATS[0].desc; STATS.len()];
    let mut at = 0;
    while at < STATS.len() {
        descs[at] = STATS[at].desc;
        at += 1;
    }
    descs
};

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("fs/xfs");
    let mut families: Vec<_> = DESCS.iter().map(Family::of).collect();
    let devices = match host.names(&folder) {
        Ok(devices) => devices,
        // No such file system is mounted: nothing to say, and no failure.
        Err(error) if error.is_missing() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for device in devices {
        let path = folder.join(&device).join("stats/stats");
        let text = match host.read(&path) {
            Ok(text) => text,
            // `/sys/fs/xfs/stats` is of all of them together.
            Err(error) if error.is_absent() => continue,
            Err(error) => return Err(error.into()),
        };
        for (family, stat) in families.iter_mut().zip(&STATS) {
            let mut lines = text.lines().map(str::split_ascii_whitespace);
            let line = lines.find_map(|mut it| (it.next() == Some(stat.line)).then_some(it));
            let value = match line.map(|mut it| it.nth(stat.field)) {
                Some(Some(value)) => value
                    .parse::<u32>()
                    .map_err(|_error| parse_error(&path, format!("{} has {value:?}", stat.line)))?,
                Some(None) => {
                    return Err(parse_error(&path, format!("{} is too short", stat.line)).into());
                }
                None => 0,
            };
            family.push(&[&device], f64::from(value));
        }
    }
    out.extend(families);
    Ok(())
}
