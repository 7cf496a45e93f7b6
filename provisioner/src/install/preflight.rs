//! Whether a node is one that can be installed on, before anything is changed anywhere.

use anyhow::bail;

use super::{changes::Changes, found::Found, volumes::Decision};
use crate::{
    desired::{Desired, ImageSource, UNITS},
    network::Node,
    roles::cassandra::SERVICE,
};

/// The oldest systemd that knows what our services are hardened with.
const SYSTEMD: u32 = 239;
/// Alerts and certificates go wrong when clocks differ by more seconds.
const SKEW: i64 = 30;
/// KiB that stay free.
const SPARE: u64 = 200 << 10;
/// Systems that were tried or are as good.
const SYSTEMS: &[&str] = &[
    "almalinux",
    "amzn",
    "centos",
    "debian",
    "ol",
    "rhel",
    "rocky",
    "ubuntu",
];

pub(super) fn check(
    node: &Node,
    desired: &Desired,
    found: &Found,
    changes: &Changes<'_>,
) -> anyhow::Result<()> {
    let name = &node.name;
    let id = found.os.split(' ').next().unwrap_or_default();
    if !SYSTEMS.contains(&id) {
        bail!(
            "{name}: its system is {}; this installs on {}",
            found.os,
            SYSTEMS.join(", ")
        );
    }
    if found.machine != "x86_64" {
        bail!(
            "{name}: its processor is {}; the programs are for x86_64",
            found.machine
        );
    }
    match found.systemd {
        Some(version) if version >= SYSTEMD => {}
        Some(version) => bail!("{name}: its systemd is {version}; {SYSTEMD} or later is needed"),
        None => bail!("{name}: systemd does not run there"),
    }
    if !found.lacks.is_empty() {
        bail!("{name}: it has no {}", found.lacks.join(", "));
    }
    for owner in desired.owners() {
        if !found.users.contains(owner) {
            bail!(
                "{name}: it has no user {owner}: install {owner} first, or take the role from the hosts file"
            );
        }
    }
    for (port, service, program) in &found.ports {
        let is_ours = desired.units.iter().any(|it| it.name == *service);
        if !is_ours && !desired.replaced.contains(service) {
            let who = if service.is_empty() { program } else { service };
            bail!(
                "{name}: port {port} is taken by {who}: give ours another one in config.json's ports, or name that service in replaces"
            );
        }
    }
    // Only units share a folder with those of others; a stop in the middle leaves them in the manifest before they are there.
    for file in desired.files.iter().filter(|it| it.path.starts_with(UNITS)) {
        let is_ours = found
            .manifest
            .contains(&("file".to_owned(), file.path.clone()));
        let unit = file.path.rsplit('/').next().unwrap_or_default();
        let state = found.units.get(unit);
        let is_used = state.is_some_and(|it| it.is_active || it.is_enabled);
        if !is_ours && (is_used || found.files.contains_key(&file.path)) {
            bail!(
                "{name}: there is a {unit} that is not ours: stop and disable it, and move its file away from {UNITS}"
            );
        }
    }
    // What listens there alone would not start.
    let is_other = |own: &std::collections::BTreeSet<String>| {
        let address: Result<std::net::IpAddr, _> = node.private_address.parse();
        address.is_ok_and(|it| !own.iter().any(|own| own.parse() == Ok(it)))
    };
    if !found.addresses.is_empty() && is_other(&found.addresses) {
        let own: Vec<_> = found.addresses.iter().map(String::as_str).collect();
        bail!(
            "{name}: {} is none of its addresses ({}): name the one that the other nodes reach as private_address in the hosts file",
            node.private_address,
            own.join(", ")
        );
    }
    for (volume, decision) in &changes.volumes {
        if let Decision::Refuse(why) = decision {
            bail!(
                "{name}: the disk {} was left alone: {why}; disks for data are empty, or were made by this environment",
                volume.serial
            );
        }
    }
    if changes.stopped.iter().any(|it| it == SERVICE) {
        bail!(
            "{name}: config.json no longer says that Cassandra is installed there (services), and this would stop it; `uninstall {name}` does, and leaves its data"
        );
    }
    let mounts = changes.removed.iter();
    if let Some(mount) = mounts.clone().find(|it| it.ends_with(".mount")) {
        bail!(
            "{name}: its disk is no longer in the list of its volumes, and what it keeps is there ({mount}): put it back into the list; `uninstall {name} --keep-data` first when it is to go"
        );
    }
    let skew = found.clock - jiff::Timestamp::now().as_second();
    if skew.abs() > SKEW {
        bail!(
            "{name}: its clock differs from ours by {skew} s: let chrony or systemd-timesyncd set it"
        );
    }
    let images = changes.images.iter().filter_map(|it| match &it.from {
        ImageSource::Archive { path, .. } => Some(path),
        ImageSource::Registry { .. } => None,
    });
    let programs = changes.programs.iter().map(|it| &it.source);
    let sent: u64 = programs
        .chain(images)
        .filter_map(|it| std::fs::metadata(it).ok())
        .map(|it| it.len() / 1024)
        .sum();
    // It is there twice for a moment, and an archive is larger than its file.
    let needed = SPARE + 4 * sent;
    for (place, free) in &found.free {
        let needed = if place == "/etc" { 1 << 10 } else { needed };
        if *free < needed {
            bail!(
                "{name}: {place} has {} MiB free; {} are needed",
                free >> 10,
                needed >> 10
            );
        }
    }
    Ok(())
}
