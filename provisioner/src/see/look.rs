//! How a node is: asked for in one round trip, and read strictly.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    desired::{CONFIGURATION, PROGRAMS, STATE},
    install::FoundError,
    network::Node,
    remote::Remote,
};

/// A node says all of this at once, if it says anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the node's own address and names to be resolved from standard input, a kind and a name on each line.
const SCRIPT: &str = r#"
echo sdl-look 1
echo "clock $(date +%s)"
read -r up _ </proc/uptime
echo "uptime ${up%.*}"
read -r load _ </proc/loadavg
echo "load $load $(nproc)"
units=$(sed -n 's/^unit //p' STATE/manifest 2>/dev/null)
[ -z "$units" ] || systemctl show -p Id -p ActiveState -p SubState -p NRestarts -p ActiveEnterTimestampMonotonic $units | sed 's/^/unit /'
systemctl list-units --failed --plain --no-legend --no-pager | while read -r name _; do echo "failed $name"; done
for link in PROGRAMS/*; do [ -L "$link" ] && echo "link ${link##*/} $(readlink "$link")"; done
mounts=$(sed -n 's/^file \(.*\.mount\)$/\1/p' STATE/manifest 2>/dev/null)
[ -z "$mounts" ] || mounts=$(sed -n 's/^Where=//p' $mounts)
timeout 5 df -Pk / /var /var/log CONFIGURATION PROGRAMS STATE STATE/* $mounts 2>/dev/null | tail -n +2 | sort -u | while read -r _ size _ free _ mount; do echo "disk $size $free $mount"; done
while read -r _ mount _ options _; do case $options in ro | ro,*) echo "readonly $mount" ;; esac; done </proc/mounts
for file in CONFIGURATION/*/tls.crt; do [ -f "$file" ] && echo "certificate $(tr '\n' '|' <"$file")"; done | sort -u
if command -v ss >/dev/null; then ss -Hltnp | sed 's/^/listen /'; else echo "lacks ss"; fi
while read -r kind name; do
  case $kind in
  address) getent ahosts "$name" | while read -r address _; do echo "address $address"; done ;;
  name) if timeout 3 getent ahosts "$name" >/dev/null; then echo "name ok $name"; else echo "name no $name"; fi & ;;
  esac
done
wait
echo sdl-end
"#;

/// What a node said of itself.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Look {
    /// Seconds that its clock is before ours, or behind.
    pub(crate) skew: i64,
    /// Seconds since its start.
    pub(crate) uptime: u64,
    /// Of the last minute, and how many processors it has.
    pub(crate) load: Option<(f64, u32)>,
    /// Services that were put there, by their names without `.service`.
    pub(crate) services: BTreeMap<String, Service>,
    /// Units that systemd has given up, whosever they are.
    pub(crate) failed: BTreeSet<String>,
    /// The versions of programs: name and folder.
    pub(crate) links: BTreeMap<String, String>,
    /// Where something of ours is.
    pub(crate) disks: Vec<Disk>,
    /// Everything that is mounted so.
    pub(crate) read_only: BTreeSet<String>,
    /// In PEM form.
    pub(crate) certificates: BTreeSet<String>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) lacks: BTreeSet<String>,
    /// What its private address is, when that is a name.
    pub(crate) addresses: BTreeSet<String>,
    /// Whether names are found.
    pub(crate) names: BTreeMap<String, bool>,
}

/// A service of systemd.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// In systemd's word.
    pub(crate) state: String,
    pub(crate) detail: String,
    pub(crate) restarts: u32,
    /// Seconds since it has been active; None when it is not.
    pub(crate) active_for: Option<u64>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) mount: String,
    pub(crate) size: u64,
    pub(crate) free: u64,
}

/// A port that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: String,
    pub(crate) port: u16,
    /// As the kernel calls it: the first 15 bytes of its name.
    pub(crate) process: Option<String>,
}

impl Disk {
    /// The part that is free. What has no size is full of nothing.
    #[expect(clippy::cast_precision_loss, reason = "it is shown in percent")]
    pub(crate) fn free_ratio(&self) -> f64 {
        if self.size == 0 {
            return 1.0;
        }
        self.free as f64 / self.size as f64
    }
}

/// Looks at a node, which is asked for some names, too.
pub(crate) async fn look(
    remote: &Remote,
    node: &Node,
    names: &BTreeSet<String>,
) -> Result<Look, FoundError> {
    let script = SCRIPT
        .replace("CONFIGURATION", CONFIGURATION)
        .replace("PROGRAMS", PROGRAMS)
        .replace("STATE", STATE);
    let mut questions = format!("address {}\n", node.private_address);
    for name in names {
        questions += &format!("name {name}\n");
    }
    let begin = Timestamp::now();
    let output = remote
        .script(&script, questions.as_bytes(), PATIENCE)
        .await?;
    let end = Timestamp::now();
    parse(&output.stdout, begin.as_second(), end.as_second()).ok_or_else(|| {
        let user = node.user.as_deref().unwrap_or("the user");
        FoundError::of(&node.name, user, &output)
    })
}

/// The node said what its clock shows at some time between two.
fn skew(clock: i64, begin: i64, end: i64) -> i64 {
    clock - clock.clamp(begin, end.max(begin))
}

/// What was said between two times of ours. None when it did not come to its end.
fn parse(text: &str, begin: i64, end: i64) -> Option<Look> {
    let mut lines = text.lines().skip_while(|it| *it != "sdl-look 1").skip(1);
    let mut look = Look::default();
    let mut unit = BTreeMap::new();
    for line in &mut lines {
        if line == "sdl-end" {
            look.unit(&unit);
            return Some(look);
        }
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, rest.split_once('=')) {
            ("unit", Some((key, value))) => drop(unit.insert(key, value)),
            // Between two of them is a line with nothing.
            ("unit", None) => {
                look.unit(&unit);
                unit.clear();
            }
            ("clock", _) => look.skew = skew(rest.parse().ok()?, begin, end),
            _ => drop(look.line(kind, rest)),
        }
    }
    None
}

impl Look {
    fn unit(&mut self, unit: &BTreeMap<&str, &str>) -> Option<()> {
        let number = |key| unit.get(key).and_then(|it| it.parse::<u64>().ok());
        let text = |key| unit.get(key).copied().unwrap_or_default().to_owned();
        let id = text("Id");
        let state = text("ActiveState");
        // In microseconds after the start of the machine; 0 for never.
        let since = number("ActiveEnterTimestampMonotonic").filter(|it| *it > 0);
        let since = since.filter(|_| state == "active");
        let service = Service {
            active_for: since.map(|it| self.uptime.saturating_sub(it / 1_000_000)),
            restarts: number("NRestarts")
                .and_then(|it| it.try_into().ok())
                .unwrap_or(0),
            detail: text("SubState"),
            state,
        };
        let name = id.strip_suffix(".service").unwrap_or(&id);
        if !name.is_empty() {
            self.services.insert(name.to_owned(), service);
        }
        Some(())
    }

    /// Lines of other shapes say nothing.
    fn line(&mut self, kind: &str, rest: &str) -> Option<()> {
        let mut words = rest.split(' ');
        match kind {
            "uptime" => self.uptime = rest.parse().ok()?,
            "load" => self.load = Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?)),
            "failed" => drop(self.failed.insert(rest.to_owned())),
            "link" => {
                let (name, folder) = rest.split_once(' ')?;
                self.links.insert(name.to_owned(), folder.to_owned());
            }
            "disk" => {
                let mut words = rest.splitn(3, ' ');
                self.disks.push(Disk {
                    size: words.next()?.parse::<u64>().ok()?.saturating_mul(1024),
                    free: words.next()?.parse::<u64>().ok()?.saturating_mul(1024),
                    mount: words.next()?.to_owned(),
                });
            }
            "readonly" => drop(self.read_only.insert(rest.to_owned())),
            "certificate" => drop(self.certificates.insert(rest.replace('|', "\n"))),
            "listen" => self.listeners.push(listener(rest)?),
            "lacks" => drop(self.lacks.insert(rest.to_owned())),
            "address" => drop(self.addresses.insert(rest.to_owned())),
            "name" => {
                let (is_found, name) = rest.split_once(' ')?;
                self.names.insert(name.to_owned(), is_found == "ok");
            }
            _ => {}
        }
        Some(())
    }

    /// The version of a program that is installed, of its folder `name-version-hash`.
    pub(crate) fn version(&self, program: &str) -> Option<&str> {
        let folder = self.links.get(program)?;
        let rest = folder.strip_prefix(program)?.strip_prefix('-')?;
        Some(rest.rsplit_once('-')?.0)
    }

    /// The file system of ours with the smallest part free.
    pub(crate) fn fullest(&self) -> Option<&Disk> {
        let disks = self.disks.iter();
        disks.min_by(|a, b| a.free_ratio().total_cmp(&b.free_ratio()))
    }
}

/// `LISTEN 0 4096 10.0.0.1:9100 0.0.0.0:* users:(("node-exporter",pid=1,fd=3))`.
fn listener(line: &str) -> Option<Listener> {
    let mut words = line.split_whitespace().skip(3);
    let (address, port) = words.next()?.rsplit_once(':')?;
    // An interface may be named after a %.
    let address = address.split('%').next().unwrap_or(address);
    let process = words.nth(1).and_then(|it| it.split('"').nth(1));
    Some(Listener {
        address: address.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
        process: process.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::{Disk, Listener, Service, parse, skew};

    const TEXT: &str = "Welcome\nsdl-look 1\nclock 1700000000\nuptime 1000\nload 0.52 2\n\
        unit Id=node-exporter.service\nunit ActiveState=active\nunit SubState=running\nunit NRestarts=2\nunit ActiveEnterTimestampMonotonic=400000000\n\
        unit \nunit NRestarts=0\nunit Id=prometheus.service\nunit ActiveState=failed\nunit SubState=failed\nunit ActiveEnterTimestampMonotonic=0\n\
        failed prometheus.service\nlink node-exporter node-exporter-0.1.0-rc1-0123456789ab\nlink odd odd\ndisk 1000 100 /\ndisk 2000 1900 /var/lib/my data\ndisk 0 0 /x\n\
        readonly /mnt\ncertificate -----BEGIN|abc|\n\
        listen LISTEN 0 4096 10.0.0.1:9100 0.0.0.0:* users:((\"node-exporter\",pid=1,fd=3))\nlisten LISTEN 0 4096 [::]:22 [::]:*\nlisten LISTEN 0 1 127.0.0.53%lo:53 0.0.0.0:*\n\
        listen LISTEN 0 1 *:8080 *:* users:((\"java\",pid=7,fd=9))\nname ok a.example\nname no b.example\naddress 10.0.0.1\nnoise\ndisk x y z\nsdl-end\nmore";

    #[test]
    fn answers() {
        let look = parse(TEXT, 1_700_000_007, 1_700_000_008).unwrap();
        assert_eq!(look.skew, -7);
        assert_eq!((look.uptime, look.load), (1000, Some((0.52, 2))));
        let running = Service {
            state: "active".to_owned(),
            detail: "running".to_owned(),
            restarts: 2,
            active_for: Some(600),
        };
        assert_eq!(look.services["node-exporter"], running);
        let failed = &look.services["prometheus"];
        assert_eq!((failed.state.as_str(), failed.active_for), ("failed", None));
        assert_eq!(look.version("node-exporter"), Some("0.1.0-rc1"));
        assert_eq!((look.version("odd"), look.version("none")), (None, None));
        let fullest = Disk {
            mount: "/".to_owned(),
            size: 1000 << 10,
            free: 100 << 10,
        };
        assert_eq!(look.fullest(), Some(&fullest));
        assert_eq!(look.disks[1].mount, "/var/lib/my data");
        assert!(look.certificates.contains("-----BEGIN\nabc\n"));
        let listeners = look.listeners.iter().map(|it| {
            let Listener {
                address,
                port,
                process,
            } = it;
            format!("{address} {port} {}", process.as_deref().unwrap_or("-"))
        });
        assert_eq!(
            listeners.collect::<Vec<_>>(),
            [
                "10.0.0.1 9100 node-exporter",
                ":: 22 -",
                "127.0.0.53 53 -",
                "* 8080 java"
            ]
        );
        assert!(look.names["a.example"] && !look.names["b.example"]);
    }

    #[test]
    fn not_to_its_end() {
        for text in ["", "sdl-look 1\nclock 1\n", "sdl-end\n"] {
            assert_eq!(parse(text, 0, 0), None);
        }
        assert!(parse("sdl-look 1\nsdl-end", 0, 0).is_some());
    }

    #[test]
    fn clocks() {
        for (clock, expect) in [(100, 0), (102, 0), (90, -10), (110, 8)] {
            assert_eq!(skew(clock, 100, 102), expect, "{clock}");
        }
    }
}
