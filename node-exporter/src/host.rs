//! The host's files, below the roots that the flags name.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use daemon::CollectError;

use crate::flags::Paths;

/// No file of the kernel that a collector reads is larger; `/proc/stat` of 4,096 CPUs has 0.6 MB.
const MAX_SIZE: usize = 16 << 20;

/// Descriptors kept open at most; a third of what a process may have open by default is left to connections.
const MAX_KEPT: usize = 640;
/// What most files of sysfs and procfs fit in.
const USUAL_SIZE: usize = 4096;
/// The kernel's file systems (`linux/magic.h`): their files are made when they are read, so that an open one is always
/// fresh. Files of others may be replaced behind an open descriptor.
const PROCFS: u64 = 0x9fa0;
const SYSFS: u64 = 0x6265_6572;

/// Where to read.
#[derive(Debug)]
pub(crate) struct Host {
    paths: Paths,
    /// Opening and closing a file costs more than reading it.
    kept: Mutex<BTreeMap<OsString, Arc<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    file: fs::File,
    /// Whether one read gives all there is: files of sysfs are at most a page (kernel, `filesystems/sysfs.rst`).
    whole: bool,
}

/// A file that could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// It could not be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is not of its format.
    #[error("cannot parse {}: {what}", path.display())]
    Parse { path: PathBuf, what: String },
}

impl HostError {
    /// Whether the file is not there, not for us, or not supported by the device that it belongs to.
    pub(crate) fn is_absent(&self) -> bool {
        let Self::Read { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported
                | io::ErrorKind::NotADirectory
        ) || matches!(
            rustix::io::Errno::from_io_error(source),
            Some(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NODEV)
        )
    }

    /// Whether it is not for us.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether the kernel answered with this number.
    pub(crate) fn is(&self, errno: rustix::io::Errno) -> bool {
        matches!(self, Self::Read { source, .. } if source.raw_os_error() == Some(errno.raw_os_error()))
    }

    /// Whether the file or the folder is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A file that is not there means that the kernel has no such thing.
impl From<HostError> for CollectError {
    fn from(error: HostError) -> Self {
        match &error {
            HostError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::NoData
            }
            _ => Self::failed(error),
        }
    }
}

impl Host {
    pub(crate) fn new(paths: Paths) -> Self {
        Self {
            paths,
            kept: Mutex::default(),
        }
    }

    /// A path below procfs.
    pub(crate) fn proc(&self, path: &str) -> PathBuf {
        self.paths.procfs.join(path)
    }

    /// A path below sysfs.
    pub(crate) fn sys(&self, path: &str) -> PathBuf {
        self.paths.sysfs.join(path)
    }

    /// A path below udev's data.
    pub(crate) fn udev(&self, path: &str) -> PathBuf {
        self.paths.udev.join(path)
    }

    /// An absolute path as it is called below the host's root, as seen from here.
    pub(crate) fn rooted(&self, path: &str) -> PathBuf {
        self.paths.rootfs.join(path.trim_start_matches('/'))
    }

    /// A path as the host calls it: without the root under which it is seen from here.
    pub(crate) fn unrooted<'a>(&self, path: &'a str) -> &'a str {
        let root = self.paths.rootfs.to_str().unwrap_or("/");
        if root == "/" {
            return path;
        }
        match path.strip_prefix(root.trim_end_matches('/')) {
            Some("") => "/",
            Some(stripped) if stripped.starts_with('/') => stripped,
            Some(_) | None => path,
        }
    }

    /// Reads a whole file; what is no UTF-8 in it is replaced.
    pub(crate) fn read(&self, path: &Path) -> Result<String, HostError> {
        self.read_kept(path).map_err(|source| HostError::Read {
            path: path.to_owned(),
            source,
        })
    }

    fn read_kept(&self, path: &Path) -> io::Result<String> {
        let kept = self.lock().get(path.as_os_str()).cloned();
        if let Some(kept) = kept {
            match kept.read() {
                // The device went away; one of the same name may have come.
                Err(error) if !is_refused(&error) => self.lock().remove(path.as_os_str()),
                answer => return answer,
            };
        }
        let file = fs::File::open(path)?;
        let kind =
            rustix::fs::fstatfs(&file).map(|it| u64::try_from(it.f_type).unwrap_or_default());
        let kept = Kept {
            file,
            whole: kind == Ok(SYSFS),
        };
        let answer = kept.read();
        // Some have no answer at times, as a link's speed while it is down: asking them again is cheaper with an open one, too.
        let asked_again = answer.as_ref().map_or_else(is_refused, |_| true);
        if asked_again && matches!(kind, Ok(PROCFS | SYSFS)) {
            let mut all = self.lock();
            if all.len() < MAX_KEPT {
                all.insert(path.as_os_str().to_owned(), Arc::new(kept));
            }
        }
        answer
    }

    /// Closes what is kept below a folder that may not be the same any more.
    pub(crate) fn forget(&self, folder: &Path) {
        self.lock()
            .retain(|path, _| !Path::new(path).starts_with(folder));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OsString, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a file of one number, such as most in sysfs are.
    pub(crate) fn number(&self, path: &Path) -> Option<u64> {
        self.read_kept(path).ok()?.trim().parse().ok()
    }

    /// Like [`Host::read`], for what is seldom the same file twice: a process', or a mount's.
    pub(crate) fn read_once(&self, path: &Path) -> Result<String, HostError> {
        let read = || {
            let kept = Kept {
                file: fs::File::open(path)?,
                whole: false,
            };
            kept.read()
        };
        read().map_err(|source| HostError::Read {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a file of one value, without the white space around it.
    pub(crate) fn text(&self, path: &Path) -> Result<String, HostError> {
        Ok(self.read(path)?.trim().to_owned())
    }

    /// Reads a file that not every device, driver or kernel has; None when this one does not.
    pub(crate) fn maybe(&self, path: &Path) -> Result<Option<String>, HostError> {
        match self.text(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a file of one whole number.
    pub(crate) fn count(&self, path: &Path) -> Result<f64, HostError> {
        let text = self.text(path)?;
        unsigned(&text).ok_or_else(|| parse_error(path, text))
    }

    /// Like [`Host::count`], for a file that is not always there.
    pub(crate) fn maybe_count(&self, path: &Path) -> Result<Option<f64>, HostError> {
        let Some(text) = self.maybe(path)? else {
            return Ok(None);
        };
        let count = unsigned(&text).ok_or_else(|| parse_error(path, text))?;
        Ok(Some(count))
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, folder: &Path) -> Result<Vec<String>, HostError> {
        list(folder, |_| true)
    }

    /// The names of a folder's folders, sorted.
    pub(crate) fn folders(&self, folder: &Path) -> Result<Vec<String>, HostError> {
        list(folder, |kind| kind.is_dir())
    }

    /// The names of what is no plain file in a folder, sorted: a class's devices.
    pub(crate) fn devices(&self, folder: &Path) -> Result<Vec<String>, HostError> {
        list(folder, |kind| !kind.is_file())
    }

    /// The names in a folder that start with `prefix` and go on with a number, in the order of the numbers.
    pub(crate) fn numbered(&self, folder: &Path, prefix: &str) -> Vec<(u64, PathBuf)> {
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut found: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let number = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
                Some((number, entry.path()))
            })
            .collect();
        found.sort();
        found
    }
}

/// Whether a device is there and has no answer now.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
}

fn list(folder: &Path, wanted: impl Fn(fs::FileType) -> bool) -> Result<Vec<String>, HostError> {
    let error = |source| HostError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        if wanted(entry.file_type().map_err(error)?) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

impl Kept {
    /// The whole file from its start; what is no UTF-8 in it is replaced.
    fn read(&self) -> io::Result<String> {
        // Most are of a few bytes: what is kept of them needs no room for more.
        let mut start = [0; USUAL_SIZE];
        let length = self.fill(&mut start, 0)?;
        let mut bytes = start.get(..length).unwrap_or_default().to_vec();
        let mut filled = length;
        while filled == bytes.len() && filled >= USUAL_SIZE {
            if filled > MAX_SIZE {
                return Err(io::Error::other("it has more than 16 MiB"));
            }
            bytes.resize(filled * 4, 0);
            filled += self.fill(bytes.get_mut(filled..).unwrap_or_default(), filled)?;
        }
        bytes.truncate(filled);
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// Reads from an offset on, until the room is full or the file ends; how many bytes there were.
    fn fill(&self, room: &mut [u8], offset: usize) -> io::Result<usize> {
        let mut length = 0;
        while let Some(rest) = room.get_mut(length..).filter(|it| !it.is_empty()) {
            let at = u64::try_from(offset + length).map_err(io::Error::other)?;
            let read = match self.file.read_at(rest, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            length += read;
            if read == 0 || self.whole {
                break;
            }
        }
        Ok(length)
    }
}

/// `0-2,5` to 0, 1, 2, 5 (kernel, `cpulist`); a list of more than 65,536 is none.
pub(crate) fn cpu_list(list: &str) -> Vec<u64> {
    let mut cpus = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>())
            && last.saturating_sub(first) < 65_536
        {
            cpus.extend(first..=last);
        }
    }
    cpus
}

/// A mount point without the escapes that mountinfo has for white space (proc_pid_mountinfo(5)).
pub(crate) fn unescaped(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t")
}

/// A whole number as the kernel writes it.
pub(crate) fn unsigned(text: &str) -> Option<f64> {
    text.parse().ok().map(float)
}

/// A whole number in base 10, or 16 with `0x`, as C's `strtol` reads it with base 0.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let number = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    Some(sign * number.ok()?)
}

/// A counter as Prometheus has it: exact up to 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "every value of Prometheus is a float"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// Like [`float`], for what may be negative.
#[expect(
    clippy::cast_precision_loss,
    reason = "every value of Prometheus is a float"
)]
pub(crate) const fn signed(count: i64) -> f64 {
    count as f64
}

/// The error for a file that is not of its format.
pub(crate) fn parse_error(path: &Path, what: impl Into<String>) -> HostError {
    let mut what = what.into();
    // A whole file has no place in a log.
    if what.len() > 200 {
        what = what.chars().take(200).collect::<String>() + "…";
    }
    HostError::Parse {
        path: path.to_owned(),
        what,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use super::{Host, cpu_list, integer};
    use crate::flags::Paths;

    /// The machine that the tests run on, with its root elsewhere.
    pub(crate) fn host(root: &str) -> Host {
        Host::new(Paths {
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            rootfs: PathBuf::from(root),
            udev: PathBuf::from("/run/udev/data"),
        })
    }

    #[test]
    fn roots() {
        for (root, path, expect) in [
            ("/", "/var", "/var"),
            ("/host", "/host/var", "/var"),
            ("/host", "/host", "/"),
            ("/host/", "/host/var", "/var"),
            ("/host", "/hostile", "/hostile"),
            ("/host", "/var", "/var"),
        ] {
            assert_eq!(host(root).unrooted(path), expect, "{path} below {root}");
        }
        assert_eq!(host("/host").rooted("/var"), PathBuf::from("/host/var"));
        assert_eq!(host("/").rooted("/"), PathBuf::from("/"));
    }

    #[test]
    fn lists() {
        for (list, expect) in [
            ("0-2,5", vec![0, 1, 2, 5]),
            ("", vec![]),
            ("3", vec![3]),
            ("x,1", vec![1]),
            ("0-18446744073709551615", vec![]),
            ("5-1", vec![]),
        ] {
            assert_eq!(cpu_list(list), expect, "{list}");
        }
    }

    #[test]
    fn files_are_read_whole_and_anew() {
        let host = host("/");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, 4095, 4096, 4097, 100_000] {
            let text = "x".repeat(length);
            // Replaced, not written over: nothing of it may be kept.
            std::fs::remove_file(&path).ok();
            std::fs::write(&path, &text).unwrap();
            assert_eq!(host.read(&path).unwrap(), text);
        }
        assert!(host.lock().is_empty());
        assert!(
            host.read(&folder.path().join("none"))
                .unwrap_err()
                .is_missing()
        );
        let uptime = host.proc("uptime");
        host.read(&uptime).unwrap();
        assert!(host.read(&uptime).unwrap().ends_with('\n'));
        assert_eq!(host.lock().len(), 1);
        host.forget(&host.proc(""));
        assert!(host.lock().is_empty());
    }

    /// As `/proc/net/tcp` does when connections come: what is read is what was there at one time, and never has a hole.
    #[test]
    fn a_file_may_grow_while_it_is_read() {
        use std::io::Write;
        const LINE: &str = "a line of some length that a connection has\n";
        let host = host("/");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let mut seen = 0;
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for _ in 0..20_000 {
                    file.write_all(LINE.as_bytes()).unwrap();
                }
            });
            loop {
                let last = writer.is_finished();
                let text = host.read(&path).unwrap();
                assert!(text.len() >= seen, "{} after {seen}", text.len());
                seen = text.len();
                let end = text.len() % LINE.len();
                let whole = text.get(..text.len() - end).unwrap();
                assert!(whole.split_inclusive('\n').all(|it| it == LINE));
                assert!(LINE.starts_with(text.get(whole.len()..).unwrap()));
                if last {
                    break;
                }
            }
        });
        assert_eq!(seen, 20_000 * LINE.len());
    }

    #[test]
    fn integers() {
        for (text, expect) in [
            ("12", Some(12)),
            ("-1", Some(-1)),
            ("0x1003", Some(0x1003)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("", None),
            ("x", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(integer(text), expect, "{text}");
        }
    }
}
