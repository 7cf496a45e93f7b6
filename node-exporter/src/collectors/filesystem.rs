//! `node_filesystem_*`: statfs(2) of what is mounted. A mount that does not answer costs its own metrics, once, and one thread.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, SendError},
    },
    time::{Duration, Instant},
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::Entry;
use crate::{
    filter::{Default, Filter, FilterFlags},
    flags::{duration, value},
    host::{Host, parse_error, unescaped},
};

pub(super) const ENTRY: Entry = Entry {
    name: "filesystem",
    default: true,
    flags: |command| {
        let command = value(
            command,
            MOUNTS.exclude,
            false,
            "Regexp of mount points to exclude (mutually exclusive to mount-points-include)",
        );
        let command = value(
            command,
            MOUNTS.include,
            false,
            "Regexp of mount points to include (mutually exclusive to mount-points-exclude)",
        );
        let command = value(
            command,
            OLD_MOUNTS,
            true,
            "Older spelling of collector.filesystem.mount-points-exclude",
        );
        let command = value(
            command,
            TYPES.exclude,
            false,
            "Regexp of file system types to exclude (mutually exclusive to fs-types-include)",
        );
        let command = value(
            command,
            TYPES.include,
            false,
            "Regexp of file system types to include (mutually exclusive to fs-types-exclude)",
        );
        let command = value(
            command,
            OLD_TYPES,
            true,
            "Older spelling of collector.filesystem.fs-types-exclude",
        );
        let command = value(
            command,
            TIMEOUT,
            false,
            "How long a scrape waits for a mount (default: 700ms); what comes later is shown by the next",
        );
        value(
            command,
            WORKERS,
            true,
            "Accepted for node_exporter's sake: one thread serves all mounts that answer",
        )
    },
    make: |setup| {
        Ok(Box::new(Filesystem {
            host: Arc::clone(&setup.host),
            mounts: MOUNTS.read(setup.matches)?,
            types: TYPES.read(setup.matches)?,
            patience: duration(setup.matches, TIMEOUT, PATIENCE)?,
            askers: Askers::new(Arc::clone(&setup.host)),
        }))
    },
    descs: &[
        SIZE,
        FREE,
        AVAIL,
        FILES,
        FILES_FREE,
        READONLY,
        DEVICE_ERROR,
        MOUNT_INFO,
        PURGEABLE,
    ],
};

const TIMEOUT: &str = "collector.filesystem.mount-timeout";
const WORKERS: &str = "collector.filesystem.stat-workers";
const OLD_MOUNTS: &str = "collector.filesystem.ignored-mount-points";
const OLD_TYPES: &str = "collector.filesystem.ignored-fs-types";
pub(super) const MOUNTS: FilterFlags = FilterFlags {
    exclude: "collector.filesystem.mount-points-exclude",
    include: "collector.filesystem.mount-points-include",
    old_exclude: Some(OLD_MOUNTS),
    old_include: None,
    default: Default {
        expression: "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
        matches: Some(is_system),
    },
};
pub(super) const TYPES: FilterFlags = FilterFlags {
    exclude: "collector.filesystem.fs-types-exclude",
    include: "collector.filesystem.fs-types-include",
    old_exclude: Some(OLD_TYPES),
    old_include: None,
    default: Default {
        expression: "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
        matches: Some(is_virtual),
    },
};

const fn gauge(name: &'static str, help: &'static str) -> Desc {
    Desc::new(name, Kind::Gauge, help).labels(&["device", "mountpoint", "fstype", "device_error"])
}

const SIZE: Desc = gauge("node_filesystem_size_bytes", "Filesystem size in bytes.");
const FREE: Desc = gauge(
    "node_filesystem_free_bytes",
    "Filesystem free space in bytes.",
);
const AVAIL: Desc = gauge(
    "node_filesystem_avail_bytes",
    "Filesystem space available to non-root users in bytes.",
);
const FILES: Desc = gauge("node_filesystem_files", "Filesystem total file nodes.");
const FILES_FREE: Desc = gauge(
    "node_filesystem_files_free",
    "Filesystem total free file nodes.",
);
const READONLY: Desc = gauge("node_filesystem_readonly", "Filesystem read-only status.");
const DEVICE_ERROR: Desc = gauge(
    "node_filesystem_device_error",
    "Whether an error occurred while getting statistics for the given device.",
);
/// node_exporter gives it on Linux too, where it is 0.
const PURGEABLE: Desc = gauge(
    "node_filesystem_purgeable_bytes",
    "Filesystem space available including purgeable space (MacOS specific).",
);
const MOUNT_INFO: Desc = Desc::new(
    "node_filesystem_mount_info",
    Kind::Gauge,
    "Filesystem mount information.",
)
.labels(&["device", "major", "minor", "mountpoint"]);

/// What node_exporter calls a mount that does not answer.
const STUCK: &str = "mountpoint timeout";
/// How long a scrape waits for mounts. One that is slow, as NFS may be, is shown by its last answer; one that is dead costs no more
/// than this.
const PATIENCE: Duration = Duration::from_millis(700);
/// For how long the last answer of a slow mount is shown.
const FRESH: Duration = Duration::from_secs(60);
/// Kept before the deadline of the scrape, for what comes after.
const MARGIN: Duration = Duration::from_millis(200);
/// When no mount has answered for this long, the next one gets a thread of its own.
const STALL: Duration = Duration::from_millis(30);

/// Whether the default expression matches a mount point: what the kernel and containers mount.
fn is_system(point: &str) -> bool {
    let below = |folder: &str| {
        let rest = point.strip_prefix(folder);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    let inside = |folder: &str| point.strip_prefix(folder).is_some_and(|it| !it.is_empty());
    ["/dev", "/proc", "/sys"].into_iter().any(below)
        || [
            "/run/credentials/",
            "/var/lib/docker/",
            "/var/lib/containers/storage/",
        ]
        .into_iter()
        .any(inside)
}

/// Whether the default expression matches a type: what has no disk, or is full by design.
fn is_virtual(kind: &str) -> bool {
    matches!(
        kind,
        "autofs"
            | "binfmt_misc"
            | "bpf"
            | "configfs"
            | "debugfs"
            | "devpts"
            | "devtmpfs"
            | "fusectl"
            | "hugetlbfs"
            | "iso9660"
            | "mqueue"
            | "nsfs"
            | "overlay"
            | "proc"
            | "procfs"
            | "pstore"
            | "rpc_pipefs"
            | "securityfs"
            | "selinuxfs"
            | "squashfs"
            | "erofs"
            | "sysfs"
            | "tracefs"
            | "cgroup"
            | "cgroup2"
    )
}

struct Filesystem {
    host: Arc<Host>,
    mounts: Filter,
    types: Filter,
    patience: Duration,
    askers: Arc<Askers>,
}

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    major: String,
    minor: String,
    readonly: bool,
}

type Answer = Result<Room, rustix::io::Errno>;

/// What statvfs(3) tells, in bytes and in file nodes.
#[derive(Debug, Clone, Copy)]
struct Room {
    size: f64,
    free: f64,
    avail: f64,
    files: f64,
    files_free: f64,
}

impl Room {
    fn of(point: &Path) -> Answer {
        let stat = rustix::fs::statvfs(point)?;
        // f_frsize is the unit of the counts of blocks.
        let bytes = |blocks: u64| float(blocks) * float(stat.f_frsize);
        Ok(Self {
            size: bytes(stat.f_blocks),
            free: bytes(stat.f_bfree),
            avail: bytes(stat.f_bavail),
            files: float(stat.f_files),
            files_free: float(stat.f_ffree),
        })
    }
}

impl Collector for Filesystem {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, scrape: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut path = self.host.proc("1/mountinfo");
        // With hidepid, the first process is not for everybody to see.
        if !path.exists() {
            path = self.host.proc("self/mountinfo");
        }
        let text = self.host.read(&path)?;
        let mut seen = BTreeSet::new();
        let mut mounts = Vec::new();
        for line in text.lines() {
            let mut mount = parse(line).ok_or_else(|| parse_error(&path, line))?;
            mount.point = self.host.unrooted(&mount.point).to_owned();
            if self.mounts.ignores(&mount.point) || self.types.ignores(&mount.kind) {
                continue;
            }
            if seen.insert((
                mount.device.clone(),
                mount.point.clone(),
                mount.kind.clone(),
            )) {
                mounts.push(mount);
            }
        }
        let answers = self.ask(&mounts, scrape);
        write(&mounts, &answers, out);
        Ok(())
    }
}

impl Filesystem {
    /// Asks every mount that is not stuck. Those without an answer at the end of the patience, or of the scrape, are stuck
    /// until they answer.
    fn ask(&self, mounts: &[Mount], scrape: &Scrape) -> BTreeMap<String, Answer> {
        let patience = self.patience.min(scrape.remaining(MARGIN));
        let end = Instant::now() + patience;
        let mut waiting: BTreeSet<String> = {
            let stuck = lock(&self.askers.stuck);
            let points = mounts.iter().map(|it| &it.point);
            points.filter(|it| !stuck.contains(*it)).cloned().collect()
        };
        let (send, receive) = mpsc::channel();
        let queue = Queue {
            points: Arc::new(Mutex::new(waiting.iter().cloned().collect())),
            answers: send,
        };
        let mut answers = BTreeMap::new();
        self.askers.set_on(&queue);
        while !waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            match receive.recv_timeout(left.min(STALL)) {
                Ok((point, answer)) => {
                    waiting.remove(&point);
                    answers.insert(point, answer);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= end => break,
                Err(RecvTimeoutError::Timeout) => {
                    if !lock(&queue.points).is_empty() {
                        self.askers.set_on(&queue);
                    }
                }
            }
        }
        // Those that nobody began to ask are asked next time.
        lock(&queue.points).clear();
        drop(receive);
        let mut late = lock(&self.askers.late);
        late.retain(|_, (since, _)| since.elapsed() < FRESH);
        for (point, (_, answer)) in &*late {
            answers.entry(point.clone()).or_insert(*answer);
        }
        answers
    }
}

/// What a scrape asks for, and where the answers go.
#[derive(Clone)]
struct Queue {
    points: Arc<Mutex<VecDeque<String>>>,
    answers: mpsc::Sender<(String, Answer)>,
}

/// The threads that ask. They belong to no scrape: when a mount hangs, one of them hangs with it, and the mount is stuck until it
/// is back. There is one for each stuck mount at most, and one that waits for the next scrape.
struct Askers {
    host: Arc<Host>,
    /// Mount points whose statfs is not back.
    stuck: Mutex<BTreeSet<String>>,
    /// Answers that came after their scrape, and when.
    late: Mutex<BTreeMap<String, (Instant, Answer)>>,
    /// The one that waits; it ends with this.
    idle: Mutex<Option<mpsc::SyncSender<(Arc<Self>, Queue)>>>,
}

impl Askers {
    fn new(host: Arc<Host>) -> Arc<Self> {
        Arc::new(Self {
            host,
            stuck: Mutex::default(),
            late: Mutex::default(),
            idle: Mutex::default(),
        })
    }

    /// Has one more thread ask until the queue is empty.
    fn set_on(self: &Arc<Self>, queue: &Queue) {
        let task = (Arc::clone(self), queue.clone());
        let idle = lock(&self.idle).take();
        if idle.is_some_and(|it| it.send(task.clone()).is_ok()) {
            return;
        }
        let work = move || {
            let mut next = Some(task);
            while let Some((all, queue)) = next {
                all.empty(&queue);
                let tasks = all.wait();
                drop((all, queue));
                next = tasks.and_then(|it| it.recv().ok());
            }
        };
        let thread = std::thread::Builder::new().name("statfs".to_owned());
        if let Err(error) = thread.stack_size(64 * 1024).spawn(work) {
            tracing::warn!(%error, "cannot start a thread for statfs");
        }
    }

    /// Where the next task of a thread comes from; None when another one waits already.
    fn wait(&self) -> Option<mpsc::Receiver<(Arc<Self>, Queue)>> {
        let mut idle = lock(&self.idle);
        if idle.is_some() {
            return None;
        }
        let (send, receive) = mpsc::sync_channel(1);
        *idle = Some(send);
        Some(receive)
    }

    fn empty(&self, queue: &Queue) {
        loop {
            let next = lock(&queue.points).pop_front();
            let Some(point) = next else { return };
            lock(&self.stuck).insert(point.clone());
            let answer = Room::of(&self.host.rooted(&point));
            lock(&self.stuck).remove(&point);
            if let Err(SendError((point, answer))) = queue.answers.send((point, answer)) {
                lock(&self.late).insert(point, (Instant::now(), answer));
                return;
            }
        }
    }
}

fn write(mounts: &[Mount], answers: &BTreeMap<String, Answer>, out: &mut Vec<Family>) {
    let descs = [SIZE, FREE, AVAIL, FILES, FILES_FREE, PURGEABLE];
    let mut families = descs.map(|it| Family::of(&it));
    let (mut readonly, mut errors) = (Family::of(&READONLY), Family::of(&DEVICE_ERROR));
    let mut info = Family::of(&MOUNT_INFO);
    for mount in mounts {
        let error = match answers.get(&mount.point) {
            None => STUCK.to_owned(),
            Some(Err(error)) => reason(*error),
            Some(Ok(_)) => String::new(),
        };
        let labels = [mount.device.as_str(), &mount.point, &mount.kind, &error];
        errors.push(&labels, if error.is_empty() { 0.0 } else { 1.0 });
        readonly.push(&labels, if mount.readonly { 1.0 } else { 0.0 });
        let Some(Ok(room)) = answers.get(&mount.point) else {
            continue;
        };
        let values = [
            room.size,
            room.free,
            room.avail,
            room.files,
            room.files_free,
            0.0,
        ];
        for (family, value) in families.iter_mut().zip(values) {
            family.push(&labels, value);
        }
        info.push(
            &[&mount.device, &mount.major, &mount.minor, &mount.point],
            1.0,
        );
    }
    out.extend(families);
    out.extend([readonly, errors, info]);
}

#[expect(clippy::cast_precision_loss, reason = "f64 is what Prometheus stores")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// The kernel's words in lower case, as Go has them.
fn reason(error: rustix::io::Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc(5), /proc/pid/mountinfo).
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (major, minor) = left.next()?.split_once(':')?;
    let point = left.nth(1)?;
    let options = left.next()?;
    let mut right = right.split(' ');
    let (kind, device) = (right.next()?, right.next()?);
    let super_options = right.next().unwrap_or("");
    let number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !number(major) || !number(minor) || kind.is_empty() {
        return None;
    }
    let has = |options: &str, wanted: &str| options.split(',').any(|it| it == wanted);
    Some(Mount {
        device: device.to_owned(),
        point: unescaped(point),
        kind: kind.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        readonly: has(options, "ro")
            || has(super_options, "ro")
            || has(super_options, "emergency_ro"),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #[test]
    fn defaults() {
        let points = [
            "/",
            "/dev",
            "/dev/shm",
            "/device",
            "/proc",
            "/procs",
            "/sys/fs/cgroup",
            "/run",
            "/run/credentials",
            "/run/credentials/",
            "/run/credentials/a.service",
            "/var/lib/docker",
            "/var/lib/docker/overlay2/x/merged",
            "/var/lib/docker/",
            "/var/lib/containers/storage/overlay",
            "/var/lib/containers",
            "/home/dev",
            "",
        ];
        let kinds = [
            "ext4", "xfs", "cgroup", "cgroup2", "cgroup3", "overlay", "proc", "procfs", "tmpfs",
            "erofs", "xautofs", "",
        ];
        crate::filter::tests::agree(super::MOUNTS.default, &points);
        crate::filter::tests::agree(super::TYPES.default, &kinds);
    }

    use super::parse;

    #[test]
    fn lines() {
        for (line, expect) in [
            (
                "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
                Some(("/dev/root", "/mnt 2", "ext3", "98", "0", false)),
            ),
            (
                "1 1 0:1 / / ro - tmpfs none rw",
                Some(("none", "/", "tmpfs", "0", "1", true)),
            ),
            (
                "1 1 0:1 / / rw shared:1 master:2 - xfs /dev/x rw,emergency_ro",
                Some(("/dev/x", "/", "xfs", "0", "1", true)),
            ),
            (
                "1 1 0:1 / / rw,rota - xfs /dev/x",
                Some(("/dev/x", "/", "xfs", "0", "1", false)),
            ),
            ("1 1 0:1 / / rw xfs /dev/x rw", None),
            ("1 1 a:1 / / rw - xfs /dev/x rw", None),
            ("1 1 0:1 / - xfs /dev/x rw", None),
            ("", None),
        ] {
            let found = parse(line);
            let found = found.as_ref().map(|it| {
                let texts = (it.device.as_str(), it.point.as_str(), it.kind.as_str());
                (
                    texts.0,
                    texts.1,
                    texts.2,
                    it.major.as_str(),
                    it.minor.as_str(),
                    it.readonly,
                )
            });
            assert_eq!(found, expect, "{line}");
        }
    }
}
