//! Disks of a node's own: what is on them stays when the machine does not.

use super::Place;
use crate::{
    artifacts::sha256,
    desired::{File, Package, UNITS, Volume},
    network::Purpose,
};

const FILESYSTEM: Package = Package {
    name: "xfsprogs",
    command: "mkfs.xfs",
};

/// Has the node's disk for something mounted, and says whether it has one.
pub(super) fn mount(place: &mut Place<'_>, purpose: Purpose, path: &str) -> bool {
    let mut volumes = place.node.volumes.iter();
    let Some(volume) = volumes.find(|it| it.purpose == purpose) else {
        return false;
    };
    let config = place.config();
    let environment = format!(
        "{}-{}",
        config.text("prefix").unwrap_or_default(),
        config.text("environment").unwrap_or_default()
    );
    let serial = volume.serial.clone();
    let (unit, uuid) = (unit_of(path), uuid(&environment, &serial));
    let whose = match purpose {
        Purpose::Data | Purpose::CommitLog => "Cassandra's disk",
        Purpose::Monitor => "The monitor's disk",
    };
    let text = format!(
        "[Unit]\nDescription={whose} {serial}\n\n[Mount]\nWhat=/dev/disk/by-uuid/{uuid}\nWhere={path}\nOptions=noatime\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    let desired = &mut place.desired;
    desired.files.push(File {
        path: format!("{UNITS}/{unit}"),
        owner: "root".to_owned(),
        mode: 0o644,
        content: text.into(),
    });
    desired.volumes.push(Volume {
        serial,
        uuid,
        path: path.to_owned(),
        unit,
    });
    if !desired.packages.contains(&FILESYSTEM) {
        desired.packages.push(FILESYSTEM);
    }
    true
}

/// What mounts a place, as systemd has its name. One with a hyphen would have another.
fn unit_of(path: &str) -> String {
    format!("{}.mount", path.trim_start_matches('/').replace('/', "-"))
}

/// Lines of a unit that does not start while nothing is mounted there.
pub(super) fn needs(path: &str) -> String {
    format!("RequiresMountsFor={path}\nAssertPathIsMountPoint={path}\n")
}

/// The id of the file system that belongs on a disk: made of both names (version 8 of RFC 9562), so that no other has it by chance.
fn uuid(environment: &str, serial: &str) -> String {
    let hash = sha256(format!("scalar-dl {environment} {serial}").as_bytes());
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default().to_owned();
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}

#[cfg(test)]
mod tests {
    use super::{unit_of, uuid};

    #[test]
    fn ids_of_file_systems() {
        let id = uuid("sdl-test", "vol01");
        assert_eq!(id.len(), 36);
        assert_eq!(id, uuid("sdl-test", "vol01"));
        for other in [uuid("sdl-live", "vol01"), uuid("sdl-test", "vol02")] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn names_of_units() {
        for (path, unit) in [
            ("/var/lib/monitor", "var-lib-monitor.mount"),
            (
                "/var/lib/cassandra/commitlog",
                "var-lib-cassandra-commitlog.mount",
            ),
        ] {
            assert_eq!(unit_of(path), unit);
        }
    }
}
