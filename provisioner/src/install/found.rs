//! What is on a node: asked for in one round trip, and read strictly.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::volumes;
use crate::{
    desired::{Desired, PROGRAMS, STATE},
    remote::{Output, ReachError, Remote},
};

/// A node looks through its files and services.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads what it is to look at from standard input, a kind and a name on each line.
const SCRIPT: &str = r#"
echo sdl-found 1
DISK
newer_than() { unit=$1 stamp=$2; shift 2; [ ! -e "$stamp" ] || find "$@" -maxdepth 0 -newer "$stamp" 2>/dev/null | sed "s|^|newer $unit |"; }
(. /etc/os-release 2>/dev/null; echo "os ${ID:-unknown} ${VERSION_ID:-unknown}")
echo "machine $(uname -m)"
echo "clock $(date +%s)"
echo "addresses $(hostname -I 2>/dev/null)"
[ -d /run/systemd/system ] && systemctl --version | { read -r _ version _; echo "systemd $version"; }
for needed in sha256sum stat tar readlink systemctl useradd; do command -v $needed >/dev/null || echo "lacks $needed"; done
df -Pk /opt /etc /var/lib | { read -r _; for place in /opt /etc /var/lib; do read -r _ _ _ free _; echo "free $free $place"; done; }
[ -f STATE/manifest ] && while read -r line; do echo "manifest $line"; done <STATE/manifest
[ -f STATE/pending ] && while read -r line; do echo "pending $line"; done <STATE/pending
while read -r kind name; do
  case $kind in
  file) [ -f "$name" ] && [ ! -L "$name" ] && set -- "$@" "$name" ;;
  folder) [ -d "$name" ] && echo "folder $(stat -c '%a %U:%G' "$name") $name" ;;
  link) [ -L "$name" ] && echo "link $(readlink "$name") $name" ;;
  program) [ -f "$name/.complete" ] && echo "program $name" ;;
  user) id -u "$name" >/dev/null 2>&1 && echo "user $name" ;;
  port)
    for process in $(ss -Hltnp "sport = :$name" 2>/dev/null | grep -o 'pid=[0-9]*' | cut -d = -f 2); do
      echo "port $name $(grep -o '[^/]*\.service' "/proc/$process/cgroup" | tail -n 1) $(cat "/proc/$process/comm")"
    done ;;
  newer) newer_than $name ;;
  disk) look_at_disk "$name" ;;
  line) path=${name%% *}; [ -f "$path" ] && if grep -qxF -- "${name#* }" "$path"; then echo "line has $path"; else echo "line lacks $path"; fi ;;
  agent)
    JVM
    [ -n "$jvm" ] && echo "jvm $jvm $(if listens "${name%% *}"; then readlink /proc/$jvm/fd/* 2>/dev/null | grep -m 1 "^${name#* }" || echo other; fi)" ;;
  command) command -v "$name" >/dev/null && echo "command $name" ;;
  image) id=$(podman image inspect --format '{{.Id}}' "$name" 2>/dev/null </dev/null) && echo "image $id $name" ;;
  unit) echo unit enabled=$(systemctl is-enabled "$name" 2>/dev/null) $(systemctl show -p ActiveState -p NRestarts "$name" 2>/dev/null) "$name" ;;
  esac
done
# All at once: a process for each would cost more than their contents.
[ $# = 0 ] || { stat -c 'file %a %U:%G %n' "$@"; sha256sum "$@" | sed 's/^/hash /'; }
echo sdl-end
"#;

/// Finds the process of Cassandra, and whether a port of this machine is listened on, with what every system has.
pub(super) const JVM: &str = r#"
jvm=$(grep -l '[o]rg.apache.cassandra.service.CassandraDaemon' /proc/[0-9]*/cmdline 2>/dev/null | head -n 1)
jvm=${jvm#/proc/}
jvm=${jvm%/cmdline}
listens() { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qi ":$(printf %04x "$1") [0-9a-f]*:0000 0A"; }
"#;

/// What is on a node of what should be, or was put there before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) os: String,
    pub(super) machine: String,
    /// Seconds since 1970.
    pub(super) clock: i64,
    pub(super) systemd: Option<u32>,
    pub(super) lacks: Vec<String>,
    /// KiB, by place.
    pub(super) free: BTreeMap<String, u64>,
    /// What was put there, by kind and name.
    pub(super) manifest: BTreeSet<(String, String)>,
    /// Services that were to be restarted when somebody stopped in the middle.
    pub(super) pending: BTreeSet<String>,
    /// Hash, mode and owner of files.
    pub(super) files: BTreeMap<String, (String, u32, String)>,
    pub(super) folders: BTreeMap<String, (u32, String)>,
    pub(super) links: BTreeMap<String, String>,
    pub(super) programs: BTreeSet<String>,
    pub(super) users: BTreeSet<String>,
    /// Commands of the packages that should be there.
    pub(super) commands: BTreeSet<String>,
    /// Files that are newer than the start of a service that only somebody starts anew, by service.
    pub(super) newer: BTreeMap<String, BTreeSet<String>>,
    /// Disks, by their serials.
    pub(super) disks: BTreeMap<String, volumes::Disk>,
    /// Images of containers: the ids that their names lead to.
    pub(super) images: BTreeMap<String, String>,
    pub(super) units: BTreeMap<String, UnitState>,
    /// Addresses of its interfaces.
    pub(super) addresses: BTreeSet<String>,
    /// Files in which lines of ours should be, and whether they are.
    pub(super) lines: BTreeMap<String, bool>,
    pub(super) jvm: Option<Jvm>,
    /// Who listens on ports of ours: service and program.
    pub(super) ports: Vec<(u16, String, String)>,
}

/// A JVM that runs, in which an agent should be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Jvm {
    pub(super) process: u32,
    /// The jar of the agent that answers in it, with the links of its path followed.
    pub(super) agent: Option<String>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct UnitState {
    pub(super) is_active: bool,
    pub(super) is_enabled: bool,
    pub(super) restarts: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoundError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error(
        "{node}: {user} may not become root without a password: give it `NOPASSWD: /bin/sh` in sudoers ({said})"
    )]
    Sudo {
        node: String,
        user: String,
        said: String,
    },
    #[error("{node}: it cannot be looked at: {said}")]
    Said { node: String, said: String },
}

/// Looks at a node.
pub(super) async fn find(
    remote: &Remote,
    user: &str,
    desired: &Desired,
) -> Result<Found, FoundError> {
    let script = SCRIPT
        .replace("STATE", STATE)
        .replace("JVM", JVM.trim())
        .replace("DISK", &volumes::look());
    let output = remote
        .script(&script, questions(desired).as_bytes(), PATIENCE)
        .await?;
    parse(&output.stdout).ok_or_else(|| FoundError::of(remote.name(), user, &output))
}

impl FoundError {
    /// Why a script came to no end.
    pub(crate) fn of(node: &str, user: &str, output: &Output) -> Self {
        let (node, said) = (node.to_owned(), output.stderr.trim());
        let said = if said.is_empty() {
            format!("it ended with {} before it has said all", output.code)
        } else {
            said.lines().last().unwrap_or_default().to_owned()
        };
        if said.contains("sudo") {
            let user = user.to_owned();
            return Self::Sudo { node, user, said };
        }
        Self::Said { node, said }
    }
}

/// What is looked at.
fn questions(desired: &Desired) -> String {
    let mut text = String::new();
    let mut ask = |kind: &str, name: &str| text += &format!("{kind} {name}\n");
    for user in desired
        .users
        .iter()
        .map(String::as_str)
        .chain(desired.owners())
    {
        ask("user", user);
    }
    for program in &desired.programs {
        ask("program", &format!("{PROGRAMS}/{}", program.folder()));
        ask("link", &format!("{PROGRAMS}/{}", program.name));
    }
    for package in &desired.packages {
        ask("command", package.command);
    }
    for image in &desired.images {
        ask("image", &image.reference);
    }
    for folder in &desired.folders {
        ask("folder", &folder.path);
    }
    for folder in &desired.moved {
        ask("folder", &folder.from);
    }
    for file in &desired.files {
        ask("file", &file.path);
    }
    for unit in desired
        .units
        .iter()
        .map(|it| &it.name)
        .chain(&desired.replaced)
    {
        ask("unit", unit);
    }
    for port in desired.ports() {
        ask("port", &port.to_string());
    }
    for line in &desired.lines {
        for place in &line.places {
            ask("line", &format!("{place} {}", line.text));
        }
    }
    for folder in &desired.kept {
        ask("folder", &folder.path);
    }
    for unit in &desired.units {
        if let Some(stamp) = unit.stamp() {
            let programs = unit.program.iter().map(|it| format!("{PROGRAMS}/{it}"));
            let paths: Vec<_> = programs.chain(unit.restarted_by.iter().cloned()).collect();
            ask(
                "newer",
                &format!("{} {stamp} {}", unit.name, paths.join(" ")),
            );
        }
    }
    for volume in &desired.volumes {
        ask("disk", &volume.serial);
    }
    if let Some(agent) = &desired.agent {
        ask(
            "agent",
            &format!("{} {PROGRAMS}/{}-", agent.port, agent.program),
        );
    }
    text
}

/// None when it did not come to its end.
fn parse(text: &str) -> Option<Found> {
    let mut lines = text.lines().skip_while(|it| *it != "sdl-found 1").skip(1);
    let mut found = Found::default();
    for line in &mut lines {
        if line == "sdl-end" {
            return Some(found);
        }
        found.line(line);
    }
    None
}

impl Found {
    /// Lines of other shapes say nothing.
    fn line(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "os" => rest.clone_into(&mut self.os),
            "machine" => rest.clone_into(&mut self.machine),
            "clock" => self.clock = rest.parse().ok()?,
            "systemd" => self.systemd = rest.parse().ok(),
            "lacks" => self.lacks.push(rest.to_owned()),
            "free" => {
                let (free, place) = rest.split_once(' ')?;
                self.free.insert(place.to_owned(), free.parse().ok()?);
            }
            "manifest" => {
                let (kind, name) = rest.split_once(' ')?;
                self.manifest.insert((kind.to_owned(), name.to_owned()));
            }
            "addresses" => self.addresses.extend(rest.split(' ').map(str::to_owned)),
            "line" => {
                let (has, path) = rest.split_once(' ')?;
                self.lines.insert(path.to_owned(), has == "has");
            }
            "port" => {
                let mut words = rest.splitn(3, ' ');
                let port = words.next()?.parse().ok()?;
                let service = words.next()?.to_owned();
                self.ports.push((port, service, words.next()?.to_owned()));
            }
            "jvm" => {
                let (process, agent) = rest.split_once(' ')?;
                self.jvm = Some(Jvm {
                    process: process.parse().ok()?,
                    agent: (!agent.is_empty()).then(|| agent.to_owned()),
                });
            }
            "pending" => {
                self.pending.insert(rest.to_owned());
            }
            "file" => {
                let mut words = rest.splitn(3, ' ');
                let mode = u32::from_str_radix(words.next()?, 8).ok()?;
                let owner = words.next()?.to_owned();
                let file = (String::new(), mode, owner);
                self.files.insert(words.next()?.to_owned(), file);
            }
            "hash" => {
                let (hash, path) = rest.split_once("  ")?;
                hash.clone_into(&mut self.files.get_mut(path)?.0);
            }
            "folder" => {
                let mut words = rest.splitn(3, ' ');
                let mode = u32::from_str_radix(words.next()?, 8).ok()?;
                let owner = words.next()?.to_owned();
                self.folders.insert(words.next()?.to_owned(), (mode, owner));
            }
            "link" => {
                let (target, path) = rest.split_once(' ')?;
                self.links.insert(path.to_owned(), target.to_owned());
            }
            "newer" => {
                let (unit, path) = rest.split_once(' ')?;
                let newer = self.newer.entry(unit.to_owned()).or_default();
                newer.insert(path.to_owned());
            }
            "disk" => {
                let (serial, rest) = rest.split_once(' ')?;
                self.disks
                    .insert(serial.to_owned(), volumes::Disk::parse(rest));
            }
            "program" => {
                self.programs.insert(rest.to_owned());
            }
            "user" => {
                self.users.insert(rest.to_owned());
            }
            "command" => {
                self.commands.insert(rest.to_owned());
            }
            "image" => {
                let (id, reference) = rest.split_once(' ')?;
                self.images.insert(reference.to_owned(), id.to_owned());
            }
            "unit" => {
                // Of a unit that there is not, some words are missing.
                let words: Vec<_> = rest.split(' ').collect();
                let name = (*words.last()?).to_owned();
                let restarts = words.iter().find_map(|it| it.strip_prefix("NRestarts="));
                let state = UnitState {
                    is_active: words.contains(&"ActiveState=active"),
                    is_enabled: words.contains(&"enabled=enabled"),
                    restarts: restarts.and_then(|it| it.parse().ok()).unwrap_or(0),
                };
                self.units.insert(name, state);
            }
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Jvm, UnitState, parse, volumes};

    #[test]
    fn answers() {
        let found = parse(
            "Welcome to this machine\nsdl-found 1\nos debian 12\nmachine x86_64\nclock 1700000000\nsystemd 252\nlacks tar\n\
             free 1000 /opt\nmanifest file /etc/x y\npending a.service\nfile 600 root:root /etc/x y\nhash abc  /etc/x y\nhash abc  /etc/z\nfolder 755 a:a /var/lib/a\n\
             link a-1-abc /opt/a\nprogram /opt/a-1-abc\nuser a\ncommand podman\nimage abc r.example/a/b:1\nimage abc\nunit enabled=enabled NRestarts=3 ActiveState=active a.service\nunit enabled= NRestarts=0 ActiveState=inactive b.service\naddresses 10.0.0.1 fe80::1 \n\
             line has /etc/a\nline lacks /etc/b\nnewer a.service /etc/x y\ndisk vol1 uuid= type= table= mount= parts=0 blank=yes\nport 9100 a.service a\nport 9100  b c\njvm 77 /opt/a-1-abc/a\nnoise\nsdl-end\nmore",
        )
        .unwrap();
        assert_eq!(
            (found.os.as_str(), found.clock, found.systemd),
            ("debian 12", 1_700_000_000, Some(252))
        );
        assert_eq!(
            found.files["/etc/x y"],
            ("abc".to_owned(), 0o600, "root:root".to_owned())
        );
        assert_eq!(found.folders["/var/lib/a"], (0o755, "a:a".to_owned()));
        assert_eq!(found.links["/opt/a"], "a-1-abc");
        assert!(found.commands.contains("podman"));
        assert_eq!(found.images["r.example/a/b:1"], "abc");
        assert_eq!(found.images.len(), 1);
        assert!(
            found
                .manifest
                .contains(&("file".to_owned(), "/etc/x y".to_owned()))
        );
        let active = UnitState {
            is_active: true,
            is_enabled: true,
            restarts: 3,
        };
        assert_eq!(found.units["a.service"], active);
        assert_eq!(found.units["b.service"], UnitState::default());
        assert!(found.addresses.contains("fe80::1"));
        let port = |service: &str, program: &str| (9100, service.to_owned(), program.to_owned());
        assert_eq!(found.ports, [port("a.service", "a"), port("", "b c")]);
        assert!(found.newer["a.service"].contains("/etc/x y"));
        assert_ne!(found.disks["vol1"], volumes::Disk::default());
        assert!(found.lines["/etc/a"] && !found.lines["/etc/b"]);
        let jvm = |text: &str| {
            parse(&format!("sdl-found 1\njvm {text}\nsdl-end"))
                .unwrap()
                .jvm
        };
        let (process, jar) = (77, "/opt/a-1-abc/a".to_owned());
        assert_eq!(
            found.jvm,
            Some(Jvm {
                process,
                agent: Some(jar)
            })
        );
        assert_eq!(
            jvm("77 "),
            Some(Jvm {
                process,
                agent: None
            })
        );
        assert_eq!(jvm("x "), None);
        assert_eq!(parse("sdl-found 1\nos debian 12\n"), None);
        assert_eq!(parse(""), None);
    }
}
