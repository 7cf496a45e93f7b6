//! `node_ethtool_*_allowance_exceeded` of network devices whose driver is ena: packets that EC2 shaped or dropped because
//! the instance was over its allowance. With the ethtool collector on, that one shows them.

use std::{fs, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::Family;
use regex::Regex;

use super::{
    Entry, Named,
    ethtool::{self, push_statistics},
    no_flags,
};
use crate::{
    ethtool::{Ethtool, Kernel, statistics},
    filter::compile,
    host::{Host, HostError},
};

pub(super) const ENTRY: Entry = Entry {
    name: "ena",
    default: true,
    flags: no_flags,
    make: |setup| {
        Ok(Box::new(Ena {
            host: Arc::clone(&setup.host),
            allowances: compile("collector.ena", Some(ALLOWANCES))?,
            shown_by_ethtool: setup.is_on(&ethtool::ENTRY),
        }))
    },
    // The names are the driver's.
    descs: &[],
};

/// As the driver has them (`ena_ethtool.c`): bandwidth in and out, packets a second, connections tracked, and to link-local
/// services.
const ALLOWANCES: &str = "^(bw_in|bw_out|pps|conntrack|linklocal)_allowance_(exceeded|available)$";
const DRIVER: &str = "ena";

struct Ena {
    host: Arc<Host>,
    allowances: Option<Regex>,
    shown_by_ethtool: bool,
}

impl Collector for Ena {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        if self.shown_by_ethtool {
            return Ok(());
        }
        let devices = devices(&self.host)?;
        if devices.is_empty() {
            return Err(CollectError::NoData);
        }
        let kernel = Kernel::open().map_err(CollectError::failed)?;
        self.show(&kernel, &devices, out);
        Ok(())
    }
}

/// Whether the host has such a device.
pub(super) fn is_there(host: &Host) -> bool {
    devices(host).is_ok_and(|it| !it.is_empty())
}

fn devices(host: &Host) -> Result<Vec<String>, HostError> {
    let folder = host.sys("class/net");
    let mut devices = host.devices(&folder)?;
    devices.retain(|device| {
        let driver = fs::read_link(folder.join(device).join("device/driver"));
        driver.is_ok_and(|it| it.ends_with(DRIVER))
    });
    Ok(devices)
}

impl Ena {
    fn show(&self, kernel: &dyn Ethtool, devices: &[String], out: &mut Vec<Family>) {
        let mut named = Named::default();
        for device in devices {
            push_statistics(
                statistics(kernel, device),
                device,
                self.allowances.as_ref(),
                &mut named,
            );
        }
        out.extend(named.families());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ALLOWANCES, Ena};
    use crate::{ethtool::tests::Scripted, filter::compile, host::tests::host};

    #[test]
    fn allowances_alone() {
        let ena = Ena {
            host: Arc::new(host("/")),
            allowances: compile("", Some(ALLOWANCES)).unwrap(),
            shown_by_ethtool: false,
        };
        let scripted = Scripted(vec![
            ("tx_timeout", 1),
            ("bw_in_allowance_exceeded", 2),
            ("conntrack_allowance_available", 3),
        ]);
        let mut out = Vec::new();
        ena.show(&scripted, &["eth0".to_owned()], &mut out);
        let found: Vec<_> = out
            .iter()
            .map(|it| (it.name(), it.number(&[("device", "eth0")])))
            .collect();
        assert_eq!(
            found,
            [
                ("node_ethtool_bw_in_allowance_exceeded", Some(2.0)),
                ("node_ethtool_conntrack_allowance_available", Some(3.0)),
            ]
        );
    }
}
