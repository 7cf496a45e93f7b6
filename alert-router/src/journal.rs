//! What must survive a crash, on disk: an append-only log of checksummed records, in files, and now and then a snapshot that takes the
//! place of the files before it.
//!
//! `journal-N.log` and `snapshot-N.bin` begin with a head that has the version of the format. A snapshot N is the state up to the
//! start of journal N, and perhaps some of what stands there: records may be taken twice. What a crash has torn off the end of a
//! file is cut off and reported. While the disk refuses writes, what cannot be kept is refused, and the rest waits in memory.

pub(crate) mod disk;

use std::{fs, io, path::Path};

use self::disk::{
    Disk, Folder, Log,
    faulty::{Faults, Faulty},
};
use crate::core::record::{Frame, HEAD, Restored, frame};

const MAGIC: &[u8; 8] = b"alrtrtr\n";
/// Of the format; data of older ones is read and written anew by a snapshot soon after, data of newer ones is refused. Format 1 named
/// groups without their receivers.
const VERSION: u32 = 2;
const FILE_HEAD: usize = 16;
/// A journal is not replaced by a snapshot before it has so many bytes.
const SNAPSHOT_AT: u64 = 32 << 20;
/// What waits in memory for room on the disk; more is kept by the snapshot that then follows.
const MAX_PENDING: usize = 8 << 20;
/// How much is read at a time.
const PIECE: usize = 256 << 10;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error(
        "another process uses --storage.path={0}: stop it, or give this one a folder of its own"
    )]
    Locked(String),
    #[error(
        "{file} was written by a newer alert-router (format {found}; this one knows up to {VERSION}): run that one, or give this one another --storage.path"
    )]
    Newer { file: String, found: u32 },
    #[error("cannot use --storage.path={path}: give a folder that this user may read and write")]
    Folder { path: String, source: io::Error },
}

/// The journal, open.
pub(crate) struct Journal {
    disk: Box<dyn Disk>,
    /// Held for the whole life: nobody else writes here.
    _lock: Option<fs::File>,
    /// None while none can be made.
    log: Option<Box<dyn Log>>,
    /// Of the file that is written to.
    number: u64,
    length: u64,
    /// Whether there is something to sync.
    is_dirty: bool,
    /// Bytes of all journals since the last snapshot.
    since_snapshot: u64,
    snapshot_size: u64,
    /// What could not be written yet and must not be refused: what people were told.
    pending: Vec<u8>,
    /// More was pending than is kept, or it is of an older format: only a snapshot has all of it.
    is_incomplete: bool,
    /// Why the last write failed.
    pub(crate) failing: Option<String>,
    pub(crate) counts: JournalCounts,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct JournalCounts {
    pub(crate) written: u64,
    pub(crate) syncs: u64,
    pub(crate) failures: u64,
    pub(crate) torn: u64,
    pub(crate) snapshots: u64,
}

/// A snapshot that is being written.
pub(crate) struct Snapshot {
    log: Box<dyn Log>,
    number: u64,
    length: u64,
}

fn journal_name(number: u64) -> String {
    format!("journal-{number:08}.log")
}

fn snapshot_name(number: u64) -> String {
    format!("snapshot-{number:08}.bin")
}

fn number_of(name: &str, before: &str, after: &str) -> Option<u64> {
    name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

fn head() -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.resize(FILE_HEAD, 0);
    head
}

/// What was read of a file.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    /// Bytes up to the end of the last good record.
    good: u64,
    /// Whether there was more behind it.
    is_torn: bool,
    /// Whether the last record was the end of a snapshot.
    is_whole: bool,
}

impl Journal {
    /// Opens a folder and gives every record that is in it to `take`, in order, with the version of its format.
    ///
    /// # Errors
    /// When the folder cannot be used at all, or holds what a newer version wrote.
    pub(crate) fn open(
        path: &Path,
        faults: Option<Faults>,
        take: &mut dyn FnMut(Restored, u32),
    ) -> Result<Self, JournalError> {
        let folder = |source| JournalError::Folder {
            path: path.display().to_string(),
            source,
        };
        fs::create_dir_all(path).map_err(folder)?;
        let lock = fs::File::create(path.join("lock"));
        let lock = match lock {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => Some(lock),
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(JournalError::Locked(path.display().to_string()));
                }
                Err(fs::TryLockError::Error(error)) => return Err(folder(error)),
            },
            // A file of no bytes finds no room on a disk that has no room for names either.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => None,
            Err(error) => return Err(folder(error)),
        };
        let disk: Box<dyn Disk> = match faults {
            None => Box::new(Folder::new(path)),
            Some(faults) => Box::new(Faulty {
                disk: Folder::new(path),
                faults,
            }),
        };
        Self::replay(disk, lock, take).map_err(|error| match error {
            Replay::Io(source) => folder(source),
            Replay::Newer { file, found } => JournalError::Newer { file, found },
        })
    }

    fn replay(
        disk: Box<dyn Disk>,
        lock: Option<fs::File>,
        take: &mut dyn FnMut(Restored, u32),
    ) -> Result<Self, Replay> {
        let names = disk.names()?;
        // A snapshot that was not finished.
        for name in names.iter().filter(|it| it.ends_with(".tmp")) {
            drop(disk.remove(name));
        }
        let numbers = |before: &str, after: &str| -> Vec<u64> {
            let all = names.iter();
            let mut numbers: Vec<_> = all.filter_map(|it| number_of(it, before, after)).collect();
            numbers.sort_unstable();
            numbers
        };
        let snapshots = numbers("snapshot-", ".bin");
        let journals = numbers("journal-", ".log");
        // Nothing is taken before it is known that all of it can be.
        let mut oldest = VERSION;
        for name in snapshots
            .iter()
            .map(|it| snapshot_name(*it))
            .chain(journals.iter().map(|it| journal_name(*it)))
        {
            oldest = oldest.min(check_version(disk.as_ref(), &name)?);
        }
        let mut counts = JournalCounts::default();
        let mut snapshot_size = 0;
        let first = snapshots.last().copied().unwrap_or(0);
        if let Some(number) = snapshots.last() {
            let name = snapshot_name(*number);
            let read = read(disk.as_ref(), &name, take)?;
            snapshot_size = read.good;
            if !read.is_whole {
                counts.torn += 1;
                tracing::error!(
                    file = name,
                    good_bytes = read.good,
                    "a snapshot is damaged; what is behind the damage is lost"
                );
            }
        }
        let mut since_snapshot = 0;
        for number in journals.iter().filter(|it| **it >= first) {
            let name = journal_name(*number);
            let read = read(disk.as_ref(), &name, take)?;
            since_snapshot += read.good;
            if read.is_torn {
                counts.torn += 1;
                tracing::warn!(
                    file = name,
                    good_bytes = read.good,
                    "the end of a journal is torn, as after a crash; it is cut off"
                );
                if let Err(error) = disk.cut(&name, read.good) {
                    tracing::warn!(file = name, %error, "cannot cut the torn end off; it is passed over");
                }
            }
        }
        let last = journals.last().copied().unwrap_or(0).max(first);
        Ok(Self {
            disk,
            _lock: lock,
            log: None,
            number: last,
            length: 0,
            is_dirty: false,
            since_snapshot,
            snapshot_size,
            pending: Vec::new(),
            is_incomplete: oldest < VERSION,
            failing: None,
            counts,
        })
    }

    /// Whether there is nothing of ours in the folder yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.number == 0
    }

    /// Appends records that may be refused: all of them, or none.
    pub(crate) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let result = self.flush_pending().and_then(|()| self.write(records));
        self.note(&result);
        result
    }

    /// Appends records that must not be refused: they wait while the disk does not take them.
    pub(crate) fn append_always(&mut self, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        if self.append(records).is_err() {
            if self.pending.len() + records.len() > MAX_PENDING {
                self.pending = Vec::new();
                self.is_incomplete = true;
            } else if !self.is_incomplete {
                self.pending.extend_from_slice(records);
            }
        }
    }

    /// Tries again what failed; says whether all is well.
    pub(crate) fn probe(&mut self) -> bool {
        let mut record = Vec::new();
        crate::core::record::Record::Now(jiff::Timestamp::UNIX_EPOCH).write(&mut record);
        self.append(&record).is_ok() && self.sync().is_ok()
    }

    fn flush_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let written = self.write(&pending);
        if written.is_err() {
            self.pending = pending;
        }
        written
    }

    fn write(&mut self, records: &[u8]) -> io::Result<()> {
        if self.log.is_none() {
            self.begin()?;
        }
        let Some(log) = &mut self.log else {
            return Err(io::Error::other("there is no journal"));
        };
        match log.write_at(records, self.length) {
            Ok(()) => {
                let size = u64::try_from(records.len()).unwrap_or(0);
                self.length += size;
                self.since_snapshot += size;
                self.counts.written += size;
                self.is_dirty = true;
                Ok(())
            }
            Err(error) => {
                // Half a record must not stand before the next one. If even that fails, the next one is written over it.
                drop(log.cut(self.length));
                Err(error)
            }
        }
    }

    /// Begins the next file.
    fn begin(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        let mut log = self.disk.create(&journal_name(number))?;
        log.write_at(&head(), 0)?;
        log.sync()?;
        self.disk.sync()?;
        self.number = number;
        self.length = FILE_HEAD as u64;
        self.log = Some(log);
        Ok(())
    }

    /// Makes sure that all that was appended survives a loss of power.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if !self.is_dirty {
            return Ok(());
        }
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        self.counts.syncs += 1;
        let result = log.sync();
        self.is_dirty = false;
        if result.is_err() {
            // The kernel may have dropped what it could not write: what the file holds is not known any more (fsync(2)).
            self.log = None;
            self.is_incomplete = true;
        }
        self.note(&result);
        result
    }

    fn note(&mut self, result: &io::Result<()>) {
        match result {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!("the journal can be written to again");
                }
            }
            Err(error) => {
                self.counts.failures += 1;
                if self.failing.replace(error.to_string()).is_none() {
                    tracing::error!(%error, "the journal cannot be written to; alerts and silences are refused until it can");
                }
            }
        }
    }

    /// Whether a snapshot should be made.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.failing.is_none()
            && (self.is_incomplete || self.since_snapshot > SNAPSHOT_AT.max(self.snapshot_size))
    }

    /// Begins a snapshot: what is appended from here on is in the next journal.
    pub(crate) fn begin_snapshot(&mut self) -> io::Result<Snapshot> {
        self.sync()?;
        self.begin()?;
        let mut log = self.disk.create("snapshot.tmp")?;
        log.write_at(&head(), 0)?;
        Ok(Snapshot {
            log,
            number: self.number,
            length: FILE_HEAD as u64,
        })
    }

    /// A snapshot is on disk: it takes the place of what was before it.
    pub(crate) fn end_snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let name = snapshot_name(snapshot.number);
        self.disk.rename("snapshot.tmp", &name)?;
        self.disk.sync()?;
        self.snapshot_size = snapshot.length;
        self.since_snapshot = self.length;
        self.is_incomplete = false;
        self.pending = Vec::new();
        self.counts.snapshots += 1;
        for old in self.disk.names()? {
            let number = number_of(&old, "journal-", ".log")
                .or_else(|| number_of(&old, "snapshot-", ".bin"));
            if number.is_some_and(|it| it < snapshot.number) {
                self.disk.remove(&old)?;
            }
        }
        Ok(())
    }

    /// A snapshot came to nothing.
    pub(crate) fn drop_snapshot(&mut self) {
        drop(self.disk.remove("snapshot.tmp"));
    }

    pub(crate) const fn snapshot_size(&self) -> u64 {
        self.snapshot_size
    }

    /// Bytes of the journals and the snapshot.
    pub(crate) const fn size(&self) -> u64 {
        self.since_snapshot + self.snapshot_size
    }
}

impl Snapshot {
    pub(crate) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.log.write_at(records, self.length)?;
        self.length += u64::try_from(records.len()).unwrap_or(0);
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.log.sync()
    }
}

#[derive(Debug)]
enum Replay {
    Io(io::Error),
    Newer { file: String, found: u32 },
}

impl From<io::Error> for Replay {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The version of a file's format; ours when it has no whole head.
fn check_version(disk: &dyn Disk, name: &str) -> Result<u32, Replay> {
    use std::io::Read as _;
    let mut head = Vec::new();
    let limit = u64::try_from(FILE_HEAD).unwrap_or(0);
    disk.open(name)?.take(limit).read_to_end(&mut head)?;
    let found = version(&head).unwrap_or(VERSION);
    if found > VERSION {
        return Err(Replay::Newer {
            file: name.to_owned(),
            found,
        });
    }
    Ok(found)
}

/// What a file's head says.
fn version(head: &[u8]) -> Option<u32> {
    let version = head.strip_prefix(MAGIC.as_slice())?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*version))
}

/// Reads the records of a file, as far as they are good.
fn read(disk: &dyn Disk, name: &str, take: &mut dyn FnMut(Restored, u32)) -> io::Result<Read> {
    use std::io::Read as _;
    let mut file = disk.open(name)?;
    let mut buffer = Vec::new();
    let (mut start, mut good, mut of) = (0, 0_u64, VERSION);
    let (mut is_whole, mut is_ended) = (false, false);
    let piece = u64::try_from(PIECE).unwrap_or(0);
    loop {
        let left = buffer.get(start..).unwrap_or_default();
        if good == 0 && left.len() >= FILE_HEAD {
            let Some(found) = version(left) else {
                break;
            };
            of = found;
            (start, good) = (FILE_HEAD, FILE_HEAD as u64);
            continue;
        }
        match if good == 0 { Frame::Cut } else { frame(left) } {
            Frame::Good(payload) => {
                is_whole = false;
                match Restored::read(payload) {
                    Some(record) => {
                        is_whole = record == Restored::End;
                        take(record, of);
                    }
                    // Its checksum is good: it is what was meant, and we do not know it.
                    None => tracing::warn!(
                        file = name,
                        at = good,
                        "a record is of no known kind; it is passed over"
                    ),
                }
                let size = HEAD + payload.len();
                start += size;
                good += u64::try_from(size).unwrap_or(0);
            }
            Frame::Bad => break,
            Frame::Cut if is_ended => break,
            Frame::Cut => {
                buffer.drain(..start);
                start = 0;
                let count = (&mut file).take(piece).read_to_end(&mut buffer)?;
                is_ended = count == 0;
            }
        }
    }
    Ok(Read {
        good,
        is_torn: start < buffer.len(),
        is_whole,
    })
}
