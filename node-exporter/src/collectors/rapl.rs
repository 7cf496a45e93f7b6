//! `node_rapl_*`: energy by zone, from `/sys/class/powercap` (kernel, `power/powercap`). Since 2020 only root may read it.

use std::{collections::BTreeMap, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, Named, counter, labels, sanitized};
use crate::{
    flags::{switch, switched},
    host::Host,
};

pub(super) const ENTRY: Entry = Entry {
    name: "rapl",
    default: true,
    flags: |command| {
        switch(
            command,
            ZONE_LABEL,
            "Show the zone as a label of node_rapl_joules_total, not as a part of the name",
        )
    },
    make: |setup| {
        Ok(Box::new(Rapl {
            host: Arc::clone(&setup.host),
            zone_label: switched(setup.matches, ZONE_LABEL).unwrap_or(false),
        }))
    },
    // Without the label the names are the kernel's.
    descs: &[JOULES],
};

const ZONE_LABEL: &str = "collector.rapl.enable-zone-label";
const JOULES: Desc = counter("node_rapl_joules_total", "Current RAPL value in joules").labels(&[
    "index",
    "path",
    "rapl_zone",
]);

struct Rapl {
    host: Arc<Host>,
    zone_label: bool,
}

impl Collector for Rapl {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let folder = self.host.sys("class/powercap");
        let mut zones = Vec::new();
        let mut used = BTreeMap::<String, u32>::new();
        for entry in self.host.names(&folder)? {
            let path = folder.join(entry);
            let Ok(name) = self.host.text(&path.join("name")) else {
                continue;
            };
            // `package-0` is the first package; `core` is the first of its name, whatever package it is of.
            let numbered = name
                .split_once('-')
                .filter(|(_, index)| !index.contains('-'))
                .and_then(|(zone, index)| Some((zone.to_owned(), index.parse().ok()?)));
            let (name, index) = numbered.unwrap_or_else(|| {
                let index = used.get(&name).copied().unwrap_or_default();
                (name, index)
            });
            used.insert(name.clone(), index + 1);
            zones.push((name, index, path));
        }
        let mut named = Named::default();
        let mut family = Family::of(&JOULES);
        for (name, index, path) in zones {
            let joules = match self.host.count(&path.join("energy_uj")) {
                Ok(microjoules) => microjoules / 1e6,
                Err(error) if error.is_denied() => return Err(CollectError::NoData),
                Err(error) => return Err(error.into()),
            };
            let (index, path) = (index.to_string(), path.to_string_lossy());
            if self.zone_label {
                family.push(&[&index, &path, &name], joules);
            } else {
                named.push(
                    &format!("node_rapl_{}_joules_total", sanitized(&name)),
                    Kind::Counter,
                    || format!("Current RAPL {name} value in joules"),
                    labels([("index", &*index), ("path", &*path)]),
                    joules,
                );
            }
        }
        out.push(family);
        out.extend(named.families());
        Ok(())
    }
}
