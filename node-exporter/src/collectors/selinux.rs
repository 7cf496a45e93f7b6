//! `node_selinux_*`: whether SELinux is there, and enforcing (selinux(8)).

use std::path::Path;

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "selinux",
    default: true,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[ENABLED, CONFIGURED, CURRENT],
};

const ENABLED: Desc = gauge(
    "node_selinux_enabled",
    "SELinux is enabled, 1 is true, 0 is false",
);
const CONFIGURED: Desc = gauge(
    "node_selinux_config_mode",
    "Configured SELinux enforcement mode",
);
const CURRENT: Desc = gauge(
    "node_selinux_current_mode",
    "Current SELinux enforcement mode",
);

/// Where selinuxfs and the configuration are; of the machine that this runs on, whatever the flags say.
const MOUNT: &str = "/sys/fs/selinux";
const CONFIG: &str = "/etc/selinux/config";

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    // A process's context is `kernel` until a policy is loaded.
    let enforce = host.maybe(&Path::new(MOUNT).join("enforce"))?;
    let context = host.maybe(Path::new("/proc/thread-self/attr/current"))?;
    let loaded = context.is_some_and(|it| it.trim_end_matches('\0') != "kernel");
    let Some(enforce) = enforce.filter(|_| loaded) else {
        out.push(Family::single(&ENABLED, 0.0));
        return Ok(());
    };
    out.push(Family::single(&ENABLED, 1.0));
    let config = host.maybe(Path::new(CONFIG))?.unwrap_or_default();
    let configured = configured(&config);
    out.push(Family::single(&CONFIGURED, configured));
    out.push(Family::single(&CURRENT, enforce.parse().unwrap_or(-1.0)));
    Ok(())
}

/// 1 enforcing, 0 permissive, -1 disabled or not said.
fn configured(config: &str) -> f64 {
    let mode = config
        .lines()
        .filter_map(|it| it.trim().split_once('='))
        .rfind(|(key, _)| key.trim() == "SELINUX");
    match mode.map(|(_, value)| value.trim().trim_matches('"')) {
        Some("enforcing") => 1.0,
        Some("permissive") => 0.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::configured;

    #[test]
    fn modes() {
        for (config, expect) in [
            ("SELINUX=enforcing\nSELINUXTYPE=targeted\n", 1.0),
            ("# SELINUX=enforcing\nSELINUX=permissive\n", 0.0),
            ("SELINUX=disabled\n", -1.0),
            ("", -1.0),
        ] {
            assert!(
                (configured(config) - expect).abs() < f64::EPSILON,
                "{config}"
            );
        }
    }
}
