//! `node_dmi_info`: what the firmware says of the machine, from `/sys/class/dmi/id` (SMBIOS). It is read once.

use std::sync::{Arc, OnceLock};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Labels};

use super::{Entry, gauge, labels, no_flags};
use crate::host::{Host, HostError};

pub(super) const ENTRY: Entry = Entry {
    name: "dmi",
    default: true,
    flags: no_flags,
    make: |setup| {
        Ok(Box::new(Dmi {
            host: Arc::clone(&setup.host),
            labels: OnceLock::new(),
        }))
    },
    descs: &[INFO],
};

const INFO: Desc = gauge(
    "node_dmi_info",
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if provided by DMI.",
)
.labels(&[
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "system_vendor",
]);

struct Dmi {
    host: Arc<Host>,
    labels: OnceLock<Labels>,
}

impl Collector for Dmi {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let labels = match self.labels.get() {
            Some(labels) => labels,
            None => {
                let read = self.read()?;
                self.labels.get_or_init(|| read)
            }
        };
        if labels.is_empty() {
            return Err(CollectError::NoData);
        }
        let mut family = Family::of(&INFO);
        family.push_labels(labels.clone(), 1.0);
        out.push(family);
        Ok(())
    }
}

impl Dmi {
    fn read(&self) -> Result<Labels, HostError> {
        let folder = self.host.sys("class/dmi/id");
        let mut found = Vec::new();
        for &label in INFO.labels {
            let file = if label == "system_vendor" {
                "sys_vendor"
            } else {
                label
            };
            // Serial numbers are for root alone.
            if let Some(text) = self.host.maybe(&folder.join(file))? {
                found.push((label, text));
            }
        }
        Ok(labels(
            found.iter().map(|(name, value)| (*name, value.as_str())),
        ))
    }
}
