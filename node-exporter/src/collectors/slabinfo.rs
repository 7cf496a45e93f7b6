//! `node_slabinfo_*`, from `/proc/slabinfo` (slabinfo(5), version 2.1). Only root may read it.

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, gauge};
use crate::{
    filter::{Filter, compile},
    flags::{given, value},
    host::{Host, parse_error, unsigned},
};

pub(super) const ENTRY: Entry = Entry {
    name: "slabinfo",
    default: false,
    flags: |command| {
        let command = value(command, INCLUDE, false, "Regexp of slabs to include");
        value(command, EXCLUDE, false, "Regexp of slabs to exclude")
    },
    make: |setup| {
        // Here both may be given.
        let include = compile(INCLUDE, given(setup.matches, INCLUDE))?;
        let exclude = compile(EXCLUDE, given(setup.matches, EXCLUDE))?;
        Ok(Box::new(Slabs {
            host: Arc::clone(&setup.host),
            filter: Filter::of(include, exclude),
        }))
    },
    descs: &COLUMNS,
};

const INCLUDE: &str = "collector.slabinfo.slabs-include";
const EXCLUDE: &str = "collector.slabinfo.slabs-exclude";

const fn column(name: &'static str, help: &'static str) -> Desc {
    gauge(name, help).labels(&["slab"])
}

/// The columns behind the name.
const COLUMNS: [Desc; 5] = [
    column(
        "node_slabinfo_active_objects",
        "The number of objects that are currently active (i.e., in use).",
    ),
    column(
        "node_slabinfo_objects",
        "The total number of allocated objects (i.e., objects that are both in use and not in use).",
    ),
    column(
        "node_slabinfo_object_size_bytes",
        "The size of objects in this slab, in bytes.",
    ),
    column(
        "node_slabinfo_objects_per_slab",
        "The number of objects stored in each slab.",
    ),
    column(
        "node_slabinfo_pages_per_slab",
        "The number of pages allocated for each slab.",
    ),
];

struct Slabs {
    host: Arc<Host>,
    filter: Filter,
}

impl Collector for Slabs {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("slabinfo");
        let text = self.host.read(&path)?;
        let mut families = COLUMNS.each_ref().map(Family::of);
        let lines = text.lines();
        for line in
            lines.filter(|it| !it.starts_with("slabinfo - version:") && !it.starts_with('#'))
        {
            let mut fields = line.split_ascii_whitespace();
            let name = fields.next().unwrap_or_default();
            if self.filter.ignores(name) {
                continue;
            }
            for family in &mut families {
                let value = fields.next().and_then(unsigned);
                family.push(&[name], value.ok_or_else(|| parse_error(&path, line))?);
            }
        }
        out.extend(families);
        Ok(())
    }
}
