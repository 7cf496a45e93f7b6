//! Disks for data. One is formatted only when it is the one that was named, and there is nothing on it; one of ours is known by the id of its
//! file system. Whatever else there is on a disk is left as it is.

use crate::desired::Volume;

/// Where udev has links to disks, by what they are and their serials.
const LINKS: &str = "/dev/disk/by-id";

/// Defines `look_at_disk SERIAL`, which says what is on a disk, and `is_blank DEVICE`. Disks are found by what udev calls them, or by what they
/// say themselves. Of one that has no signature the first and the last MiB and 32 others between them are looked at.
const LOOK: &str = r#"
disk_of() {
  for link in LINKS/*[_-]"$1"; do [ -b "$link" ] && { readlink -f "$link"; return; }; done
  for file in /sys/block/*/device/serial /sys/block/*/serial; do
    [ -f "$file" ] && [ "$(tr -d ' \n' <"$file")" = "$1" ] && { file=${file#/sys/block/}; echo "/dev/${file%%/*}"; return; }
  done
}
is_blank() {
  blkid -p "$1" >/dev/null 2>&1; [ $? = 2 ] || return 1
  mib=$(($(cat "/sys/class/block/${1##*/}/size") / 2048))
  [ "$mib" -ge 2 ] || return 1
  for at in $(seq 0 32); do
    [ "$(dd if="$1" bs=1M count=1 skip=$((at * (mib - 1) / 32)) 2>/dev/null | tr -d '\000' | head -c 1 | wc -c)" = 0 ] || return 1
  done
}
look_at_disk() {
  device=$(disk_of "$1")
  [ -n "$device" ] || { echo "disk $1 missing"; return; }
  set -- "$1" "$(blkid -p -s UUID -o value "$device" 2>/dev/null)" "$(blkid -p -s TYPE -o value "$device" 2>/dev/null)" \
    "$(blkid -p -s PTTYPE -o value "$device" 2>/dev/null)" "$(sed -n "s|^$device \([^ ]*\) .*|\1|p" /proc/mounts | head -n 1)"
  parts=$(ls -d "/sys/class/block/${device##*/}/${device##*/}"*[0-9] "/sys/class/block/${device##*/}/holders/"* 2>/dev/null | wc -l)
  echo "disk $1 uuid=$2 type=$3 table=$4 mount=$5 parts=$parts blank=$(is_blank "$device" && echo yes || echo no)"
}
"#;

/// The functions that look at disks.
pub(super) fn look() -> String {
    LOOK.replace("LINKS", LINKS)
}

/// What is on a disk.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    is_missing: bool,
    uuid: String,
    kind: String,
    table: String,
    mount: String,
    /// Partitions, and what stands on it otherwise.
    parts: u32,
    is_blank: bool,
}

/// What is to be done with a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Nothing,
    Mount,
    Format,
    Refuse(String),
}

impl Disk {
    /// `key=value` words; what is not understood is not blank.
    pub(super) fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let word = text.split(' ').find_map(|it| it.strip_prefix(key));
            word.unwrap_or_default().to_owned()
        };
        Self {
            is_missing: text == "missing",
            uuid: value("uuid="),
            kind: value("type="),
            table: value("table="),
            mount: value("mount="),
            parts: value("parts=").parse().unwrap_or(u32::MAX),
            is_blank: value("blank=") == "yes",
        }
    }
}

impl Decision {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Nothing => "keep",
            Self::Mount => "mount",
            Self::Format => "format, for it is empty,",
            Self::Refuse(_) => "leave alone",
        }
    }
}

/// What is to be done with what was found.
pub(super) fn decide(volume: &Volume, disk: Option<&Disk>) -> Decision {
    let refuse = |why: String| Decision::Refuse(why);
    let Some(disk) = disk.filter(|it| !it.is_missing) else {
        return refuse("the node has no disk of that serial".to_owned());
    };
    if disk.uuid == volume.uuid {
        return match disk.mount.as_str() {
            "" => Decision::Mount,
            at if at == volume.path => Decision::Nothing,
            at => refuse(format!("it is mounted as {at}")),
        };
    }
    if !disk.mount.is_empty() {
        return refuse(format!("it is mounted as {}", disk.mount));
    }
    if !disk.kind.is_empty() || !disk.uuid.is_empty() {
        let kind = match disk.kind.as_str() {
            "" => "something",
            kind => kind,
        };
        return refuse(format!(
            "there is {kind} on it that is not ours ({})",
            disk.uuid
        ));
    }
    if !disk.table.is_empty() || disk.parts > 0 {
        return refuse("it has partitions, or something stands on it".to_owned());
    }
    if !disk.is_blank {
        return refuse("it has no file system, and is not empty".to_owned());
    }
    Decision::Format
}

/// Makes it so. A disk is looked at again in the moment before it is formatted.
pub(super) fn script(volume: &Volume, decision: &Decision) -> String {
    let Volume {
        serial,
        uuid,
        path,
        unit,
    } = volume;
    let format = match decision {
        Decision::Format => format!(
            "{}\ndevice=$(disk_of {serial})\n\
             {{ [ -b \"$device\" ] && is_blank \"$device\"; }} || {{ echo \"the disk {serial} is not empty any more\" >&2; exit 1; }}\n\
             mkfs.xfs -q -m uuid={uuid} \"$device\"\n",
            look()
        ),
        Decision::Mount => String::new(),
        Decision::Nothing | Decision::Refuse(_) => return String::new(),
    };
    // Below a place that nothing is mounted on nobody may write.
    format!(
        "{format}! command -v udevadm >/dev/null || udevadm settle --timeout=30 || :\n\
         for _ in $(seq 1 50); do [ -e /dev/disk/by-uuid/{uuid} ] && break; sleep 0.2; done\ninstall -d -m 755 {path}\nsystemctl start {unit}"
    )
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{FileExt as _, symlink},
        path::Path,
    };

    use testkit::{Program, skip};

    use super::{Decision, Disk, LOOK, decide, script};
    use crate::desired::Volume;

    /// What is said of a disk, by a link of the kind that udev makes.
    fn found(links: &Path) -> String {
        let look = LOOK.replace("LINKS", &links.display().to_string());
        let ended = Program::at("sh")
            .args(["-c", &format!("{look}\nlook_at_disk vol01")])
            .run();
        assert_eq!(ended.stderr, "");
        let said = ended.stdout.trim();
        said.strip_prefix("disk vol01 ").unwrap().to_owned()
    }

    fn write(disk: &testkit::Disk, at: u64, bytes: &[u8]) {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(disk.device())
            .unwrap();
        file.write_all_at(bytes, at).unwrap();
        file.sync_all().unwrap();
    }

    #[test]
    fn a_real_disk() {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = testkit::Disk::new(folder.path(), 64 << 20) else {
            skip("needs root, for a loop device");
            return;
        };
        symlink(disk.device(), folder.path().join("kind_vol01")).unwrap();
        let found = || found(folder.path());
        let write = |at, bytes: &[u8]| write(&disk, at, bytes);
        let decided = || decide(&volume(), Some(&Disk::parse(&found())));
        assert_eq!(decided(), Decision::Format, "{}", found());
        // Something that nobody knows, at its end, at its start, and half way.
        for at in [(64 << 20) - 1, 4096, 31 << 20] {
            write(at, &[1]);
            let expect = "it has no file system, and is not empty";
            assert_eq!(decided(), Decision::Refuse(expect.to_owned()), "{at}");
            write(at, &[0]);
        }
        assert_eq!(decided(), Decision::Format);
        // A table of partitions, which has none; then a file system of others', and of ours.
        let mut entry = [0; 66];
        entry[1] = 2;
        entry[4] = 0x83;
        entry[8] = 8;
        entry[12] = 8;
        entry[64..].copy_from_slice(&[0x55, 0xaa]);
        write(446, &entry);
        assert!(
            matches!(decided(), Decision::Refuse(it) if it.contains("partitions")),
            "{}",
            found()
        );
        write(446, &[0; 66]);
        for (uuid, expect) in [
            (
                "11111111-2222-8333-8444-555555555555",
                Decision::Refuse(
                    "there is ext4 on it that is not ours (11111111-2222-8333-8444-555555555555)"
                        .to_owned(),
                ),
            ),
            ("00000000-0000-8000-8000-000000000001", Decision::Mount),
        ] {
            let ended = Program::at("mkfs.ext4")
                .args(["-q", "-F", "-U", uuid, disk.device()])
                .run();
            assert!(ended.status.success(), "{}", ended.stderr);
            assert_eq!(decided(), expect, "{}", found());
        }
    }

    fn volume() -> Volume {
        Volume {
            serial: "vol01".to_owned(),
            uuid: "00000000-0000-8000-8000-000000000001".to_owned(),
            path: "/data".to_owned(),
            unit: "data.mount".to_owned(),
        }
    }

    #[test]
    fn what_is_done_with_a_disk() {
        for (found, expect) in [
            (
                "uuid= type= table= mount= parts=0 blank=yes",
                "format, for it is empty,",
            ),
            (
                "uuid=00000000-0000-8000-8000-000000000001 type=xfs table= mount= parts=0 blank=no",
                "mount",
            ),
            (
                "uuid=00000000-0000-8000-8000-000000000001 type=xfs table= mount=/data parts=0 blank=no",
                "keep",
            ),
            (
                "uuid=00000000-0000-8000-8000-000000000001 type=xfs table= mount=/x parts=0 blank=no",
                "mounted as /x",
            ),
            (
                "uuid=9 type=xfs table= mount= parts=0 blank=no",
                "there is xfs on it that is not ours (9)",
            ),
            (
                "uuid= type=LVM2_member table= mount= parts=0 blank=no",
                "there is LVM2_member on it",
            ),
            (
                "uuid= type= table=gpt mount= parts=0 blank=no",
                "has partitions",
            ),
            (
                "uuid= type= table= mount= parts=1 blank=yes",
                "has partitions",
            ),
            (
                "uuid= type= table= mount=/ parts=0 blank=yes",
                "mounted as /",
            ),
            ("uuid= type= table= mount= parts=0 blank=no", "is not empty"),
            ("missing", "no disk of that serial"),
            ("", "has partitions"),
        ] {
            let said = match decide(&volume(), Some(&Disk::parse(found))) {
                Decision::Refuse(why) => why,
                decision => decision.word().to_owned(),
            };
            assert!(said.contains(expect), "{found}: {said}");
        }
        assert!(matches!(decide(&volume(), None), Decision::Refuse(_)));
    }

    #[test]
    fn formats_what_is_to_be_formatted_alone() {
        for (decision, formats) in [
            (Decision::Nothing, false),
            (Decision::Mount, false),
            (Decision::Refuse(String::new()), false),
            (Decision::Format, true),
        ] {
            assert_eq!(script(&volume(), &decision).contains("mkfs"), formats);
        }
    }
}
