//! The host's files, below the roots that the flags name.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use daemon::CollectError;

use crate::flags::Paths;

/// No file of the kernel that a collector reads is larger; `/proc/stat` of 4,096 CPUs has 0.6 MB.
const MAX_SIZE: u64 = 16 << 20;

/// Where to read.
#[derive(Debug)]
pub(crate) struct Host {
    paths: Paths,
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
    pub(crate) const fn new(paths: Paths) -> Self {
        Self { paths }
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
        read(path).map_err(|source| HostError::Read {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a file of one number, such as most in sysfs are.
    pub(crate) fn number(&self, path: &Path) -> Option<u64> {
        read(path).ok()?.trim().parse().ok()
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

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(4096);
    fs::File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|it| it > MAX_SIZE) {
        return Err(io::Error::other("it has more than 16 MiB"));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
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
mod tests {
    use std::path::PathBuf;

    use super::Host;
    use crate::flags::Paths;

    #[test]
    fn roots() {
        let host = |root: &str| {
            Host::new(Paths {
                procfs: PathBuf::from("/proc"),
                sysfs: PathBuf::from("/sys"),
                rootfs: PathBuf::from(root),
                udev: PathBuf::from("/run/udev/data"),
            })
        };
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
}
