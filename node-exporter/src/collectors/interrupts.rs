//! `node_interrupts_total`, from `/proc/interrupts`.

use std::{collections::BTreeMap, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};

use super::{Entry, counter};
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::{switch, switched, value},
    host::{Host, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "interrupts",
    default: false,
    flags: |command| {
        let command = value(
            command,
            FILTER.include,
            false,
            "Regexp of interrupts, as name;info;devices, to include (mutually exclusive to name-exclude)",
        );
        let command = value(
            command,
            FILTER.exclude,
            false,
            "Regexp of interrupts, as name;info;devices, to exclude (mutually exclusive to name-include)",
        );
        switch(
            command,
            ZEROS,
            "Include interrupts that have a zero value (default: on)",
        )
    },
    make: |setup| {
        Ok(Box::new(Interrupts {
            host: Arc::clone(&setup.host),
            filter: FILTER.read(setup.matches)?,
            zeros: switched(setup.matches, ZEROS).unwrap_or(true),
        }))
    },
    descs: &[TOTAL],
};

const ZEROS: &str = "collector.interrupts.include-zeros";
const FILTER: FilterFlags = FilterFlags {
    exclude: "collector.interrupts.name-exclude",
    include: "collector.interrupts.name-include",
    old_exclude: None,
    old_include: None,
    default: Default::NONE,
};
const TOTAL: Desc = counter("node_interrupts_total", "Interrupt details.")
    .labels(&["cpu", "type", "info", "devices"]);

struct Interrupts {
    host: Arc<Host>,
    filter: Filter,
    zeros: bool,
}

impl Collector for Interrupts {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("interrupts");
        let text = self.host.read(&path)?;
        let mut lines = text.lines();
        // A column for each CPU.
        let headings = lines
            .next()
            .ok_or_else(|| parse_error(&path, "it is empty"))?;
        let cpus = headings.split_ascii_whitespace().count();
        let mut found = BTreeMap::new();
        for line in lines {
            // Lines with one number for all CPUs, of errors, are not shown.
            let Some((name, rest)) = line.split_once(':') else {
                continue;
            };
            let fields: Vec<_> = rest.split_ascii_whitespace().collect();
            if let Some((values, details)) = fields.split_at_checked(cpus)
                && let Some((first, others)) = details.split_first()
            {
                let name = name.trim_start();
                let (info, devices) = if name.parse::<u64>().is_ok() {
                    ((*first).to_owned(), others.join(" "))
                } else {
                    (details.join(" "), String::new())
                };
                found.insert(name, (info, devices, values.to_vec()));
            }
        }
        let mut family = Family::of(&TOTAL);
        for (name, (info, devices, values)) in found {
            if self.filter.ignores(&format!("{name};{info};{devices}")) {
                continue;
            }
            for (cpu, text) in values.iter().enumerate() {
                let value: f64 = text
                    .parse()
                    .map_err(|_error| parse_error(&path, format!("{name} has {text:?}")))?;
                if self.zeros || value > 0.0 {
                    family.push(&[&cpu.to_string(), name, &info, &devices], value);
                }
            }
        }
        out.push(family);
        Ok(())
    }
}
