//! All of the journal's input and output, behind one trait: a folder of files, and a twin of it that fails when it is told to.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// A folder.
pub(crate) trait Disk: Send {
    /// The names of its files.
    fn names(&self) -> io::Result<Vec<String>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;
    /// A new file; one that is there is emptied.
    fn create(&self, name: &str) -> io::Result<Box<dyn Log>>;
    /// Takes off what is behind a length.
    fn cut(&self, name: &str, length: u64) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes sure that names survive a loss of power.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is written to.
pub(crate) trait Log: Send {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes sure that what was written survives a loss of power.
    fn sync(&mut self) -> io::Result<()>;
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A folder of the machine.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs::File::open(self.0.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Log>> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // What stands there may be nobody else's business.
            .mode(0o600)
            .open(self.0.join(name))?;
        Ok(Box::new(file))
    }

    fn cut(&self, name: &str, length: u64) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).open(self.0.join(name))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.0)?.sync_all()
    }
}

impl Log for fs::File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// A folder that fails: for tests, from inside and (by the variable `ALERT_ROUTER_TEST_FAULTS`) from outside.
pub(crate) mod faulty {
    use std::{
        io::{self, Read},
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::{Disk, Log};

    /// What happens when so many bytes were written.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The disk is full.
        Full,
        /// It is broken.
        Broken,
        /// The machine stops in the middle of a write.
        Torn,
    }

    /// Fails after so many bytes; there is room again when the number is raised.
    #[derive(Debug, Clone)]
    pub(crate) struct Faults {
        pub(crate) fault: Fault,
        pub(crate) after: Arc<AtomicU64>,
        pub(crate) written: Arc<AtomicU64>,
        /// How a machine stops.
        pub(crate) stop: fn(),
    }

    impl Faults {
        /// `enospc-after=1000`, `eio-after=1000`, `torn-after=1000`.
        pub(crate) fn parse(text: &str) -> Option<Self> {
            let (name, after) = text.split_once('=')?;
            let fault = match name {
                "enospc-after" => Fault::Full,
                "eio-after" => Fault::Broken,
                "torn-after" => Fault::Torn,
                _ => return None,
            };
            Some(Self {
                fault,
                after: Arc::new(AtomicU64::new(after.parse().ok()?)),
                written: Arc::default(),
                stop: || std::process::abort(),
            })
        }

        /// How many of some bytes can be written, and what happens then.
        fn room(&self, length: usize) -> (usize, Option<Fault>) {
            let wanted = u64::try_from(length).unwrap_or(u64::MAX);
            let written = self.written.load(Ordering::SeqCst);
            let room = self.after.load(Ordering::SeqCst).saturating_sub(written);
            if wanted <= room {
                self.written.fetch_add(wanted, Ordering::SeqCst);
                return (length, None);
            }
            // What is written by half takes the rest of the room: nothing smaller fits after it.
            self.written.fetch_add(room, Ordering::SeqCst);
            (usize::try_from(room).unwrap_or(length), Some(self.fault))
        }
    }

    pub(crate) struct Faulty<D> {
        pub(crate) disk: D,
        pub(crate) faults: Faults,
    }

    struct FaultyLog {
        log: Box<dyn Log>,
        faults: Faults,
    }

    impl<D: Disk> Disk for Faulty<D> {
        fn names(&self) -> io::Result<Vec<String>> {
            self.disk.names()
        }

        fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
            self.disk.open(name)
        }

        fn create(&self, name: &str) -> io::Result<Box<dyn Log>> {
            Ok(Box::new(FaultyLog {
                log: self.disk.create(name)?,
                faults: self.faults.clone(),
            }))
        }

        fn cut(&self, name: &str, length: u64) -> io::Result<()> {
            self.disk.cut(name, length)
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.disk.rename(from, to)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            self.disk.remove(name)
        }

        fn sync(&self) -> io::Result<()> {
            self.disk.sync()
        }
    }

    impl Log for FaultyLog {
        fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let (room, fault) = self.faults.room(bytes.len());
            let part = bytes.get(..room).unwrap_or(bytes);
            self.log.write_at(part, offset)?;
            match fault {
                None => Ok(()),
                Some(Fault::Full) => Err(io::Error::from_raw_os_error(libc_enospc())),
                Some(Fault::Broken) => Err(io::Error::from_raw_os_error(libc_eio())),
                Some(Fault::Torn) => {
                    (self.faults.stop)();
                    Err(io::Error::other("the machine has stopped"))
                }
            }
        }

        fn sync(&mut self) -> io::Result<()> {
            self.log.sync()
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.log.cut(length)
        }
    }

    /// `ENOSPC` of Linux (errno(3)).
    const fn libc_enospc() -> i32 {
        28
    }

    /// `EIO` of Linux (errno(3)).
    const fn libc_eio() -> i32 {
        5
    }
}
