//! Files of an environment that nobody but their owner may read, each whole or not there at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::output;

/// A larger file is none of these.
const MAX_SIZE: u64 = 1 << 20;

/// A folder, and that no other run of the provisioner changes it until this is dropped.
#[derive(Debug)]
pub(crate) struct Private {
    pub(crate) folder: PathBuf,
    _lock: File,
}

impl Private {
    /// Makes a folder that is not there, and waits for whoever uses it.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        make_folder(folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        lock.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The text of a file; None when it is not there.
    pub(crate) fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = self.path(name);
        let cannot = || format!("cannot read {}", path.display());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(cannot),
        };
        let mode = file.metadata().with_context(cannot)?.permissions().mode();
        if mode & 0o077 != 0 {
            output::warn(format!(
                "{} could be read by others; its mode is 0600 from here on",
                path.display()
            ));
            file.set_permissions(fs::Permissions::from_mode(0o600))
                .with_context(|| format!("cannot change the mode of {}", path.display()))?;
        }
        let mut text = String::new();
        file.take(MAX_SIZE + 1)
            .read_to_string(&mut text)
            .with_context(cannot)?;
        if u64::try_from(text.len()).is_ok_and(|it| it > MAX_SIZE) {
            bail!("{} has more than 1 MiB", path.display());
        }
        Ok(Some(text))
    }

    /// Writes a file. A crash leaves the one before, or none.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        write(&self.path(name), text)
    }
}

/// Makes a folder for this user alone.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    let meta = fs::metadata(folder);
    let meta = meta.with_context(|| format!("cannot look at {}", folder.display()))?;
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot change the mode of {}", folder.display()))?;
    }
    Ok(())
}

/// Writes a file for this user alone, whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let written = (|| -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    })();
    if written.is_err() {
        drop(fs::remove_file(&fresh));
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::Private;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn modes() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("secrets");
        let private = Private::open(&folder).unwrap();
        assert_eq!(private.read("a").unwrap(), None);
        private.write("a", "text").unwrap();
        assert_eq!(private.read("a").unwrap().as_deref(), Some("text"));
        let path = private.path("a");
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        // What somebody has opened is closed again.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        drop(private);
        let private = Private::open(&folder).unwrap();
        private.read("a").unwrap();
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        let names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn errors_name_the_file() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("pki");
        fs::write(&folder, "").unwrap();
        let error = Private::open(&folder).unwrap_err().to_string();
        assert_eq!(error, format!("cannot make {}", folder.display()));
        let private = Private::open(&parent.path().join("x")).unwrap();
        fs::create_dir(private.path("a")).unwrap();
        for error in [
            private.write("a", "").unwrap_err(),
            private.read("a").unwrap_err(),
        ] {
            assert!(error.to_string().ends_with("/x/a"), "{error}");
        }
        fs::write(private.path("b"), [b'x'; (1 << 20) + 1]).unwrap();
        let error = private.read("b").unwrap_err().to_string();
        assert!(error.ends_with("/x/b has more than 1 MiB"), "{error}");
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Private::open(folder.path()).unwrap();
        let gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _second = Private::open(folder.path()).unwrap();
                assert!(gone.load(Ordering::Acquire));
            });
            gone.store(true, Ordering::Release);
            drop(first);
        });
    }
}
