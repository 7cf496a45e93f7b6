//! A log that grows, is renamed and replaced, or is cut off and begun anew: its lines, each once.

mod collector;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

pub(crate) use self::collector::{Followed, Lines, Log};

/// Longer lines are passed over: no line of Traefik's is that long but by somebody's malice.
const MAX_LINE: usize = 64 << 10;
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;
/// Bytes at the start of a file, and before where we are, by which it is known again: lines may begin alike.
const HEAD: usize = 128;
const TAIL: usize = 256;

/// Follows one file by its name.
pub(crate) struct Follower {
    path: PathBuf,
    open: Option<Open>,
    /// Where reading begins in the first file: so many bytes before its end.
    before_end: u64,
    buffer: Vec<u8>,
    pub(crate) seen: Seen,
}

/// How far a file was read, by which reading goes on after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    device: u64,
    inode: u64,
    offset: u64,
    tail: Vec<u8>,
}

/// What came by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    /// Lines that were passed over, as they are too long.
    pub(crate) long: u64,
    /// Another file had the name.
    pub(crate) rotated: u64,
    /// The file was shorter than before, or began with something else.
    pub(crate) truncated: u64,
}

struct Open {
    file: File,
    id: (u64, u64),
    offset: u64,
    head: Vec<u8>,
    /// What was read last.
    tail: Vec<u8>,
    /// When the file had been written to when all of it was read.
    still: Option<(i64, i64)>,
    /// A line whose end is not there yet.
    partial: Vec<u8>,
    /// The line is too long, or began before we did.
    is_skipping: bool,
}

impl Follower {
    /// Begins so many bytes before the end of what is there.
    pub(crate) fn new(path: PathBuf, before_end: u64) -> Self {
        Self {
            path,
            open: None,
            before_end,
            buffer: vec![0; CHUNK],
            seen: Seen::default(),
        }
    }

    /// Where the last whole line that was taken ends; None before there is a file.
    pub(crate) fn place(&self) -> Option<Place> {
        let open = self.open.as_ref()?;
        let ahead = open.partial.len();
        let kept = open.tail.len().checked_sub(ahead)?;
        Some(Place {
            device: open.id.0,
            inode: open.id.1,
            offset: open.offset.checked_sub(ahead as u64)?,
            tail: open.tail.get(..kept)?.to_vec(),
        })
    }

    /// Goes on from a place when the file is still there and has it; else from its start, as it is another.
    pub(crate) fn resume(&mut self, place: &Place) {
        self.before_end = u64::MAX;
        let Ok(mut open) = File::open(&self.path).and_then(Open::new) else {
            return;
        };
        open.offset = place.offset;
        open.tail.clone_from(&place.tail);
        let is_same = open.id == (place.device, place.inode) && place.tail.len() <= TAIL;
        if !is_same || !open.is_known().unwrap_or(false) {
            self.seen.rotated += 1;
            open.restart();
        }
        self.open = Some(open);
    }

    /// Takes what has come, at most `max` bytes or a little more. True when there may be more at once.
    ///
    /// # Errors
    /// When the file cannot be opened or read; it is tried anew with the next call.
    pub(crate) fn poll(&mut self, max: u64, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let limit = self.seen.bytes.saturating_add(max);
        loop {
            self.drain(limit, &mut take)?;
            if self.seen.bytes >= limit {
                return Ok(true);
            }
            if !self.next_file()? {
                return Ok(false);
            }
        }
    }

    fn begin(&mut self) -> io::Result<Open> {
        let mut open = Open::new(File::open(&self.path)?)?;
        let size = open.file.metadata()?.len();
        // What was made after we began is read from its start.
        let from = size.saturating_sub(self.before_end);
        self.before_end = u64::MAX;
        open.offset = from;
        let mut before = [0];
        open.is_skipping = match from.checked_sub(1) {
            Some(at) => open.file.read_at(&mut before, at)? == 1 && before != *b"\n",
            None => false,
        };
        Ok(open)
    }

    /// Reads to the end.
    fn drain(&mut self, limit: u64, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let its = open.file.metadata()?;
        let written = (its.mtime(), its.mtime_nsec());
        // Written to, and as long as before: it is as long again.
        let is_again = its.len() == open.offset && open.still.is_some_and(|it| it != written);
        if its.len() < open.offset || is_again && open.offset > 0 || !open.is_known()? {
            self.seen.truncated += 1;
            open.restart();
        }
        while self.seen.bytes < limit {
            let read = match open.file.read_at(&mut self.buffer, open.offset) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(chunk) = self.buffer.get(..read).filter(|it| !it.is_empty()) else {
                let its = open.file.metadata()?;
                open.still = (its.len() == open.offset).then(|| (its.mtime(), its.mtime_nsec()));
                return Ok(());
            };
            if open.offset < HEAD as u64 && open.head.len() as u64 == open.offset {
                let room = HEAD - open.head.len();
                open.head
                    .extend_from_slice(chunk.get(..room).unwrap_or(chunk));
            }
            open.offset += read as u64;
            self.seen.bytes += read as u64;
            open.keep_tail(chunk);
            open.split(chunk, &mut self.seen, take);
        }
        Ok(())
    }

    /// Goes on with another file when one has the name. The old one was read to its end.
    fn next_file(&mut self) -> io::Result<bool> {
        let Some(open) = &self.open else {
            return Ok(false);
        };
        let id = match fs::metadata(&self.path) {
            Ok(its) => (its.dev(), its.ino()),
            // Between renaming and making anew there is none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if id == open.id {
            return Ok(false);
        }
        self.open = Some(Open::new(File::open(&self.path)?)?);
        self.seen.rotated += 1;
        Ok(true)
    }
}

impl Open {
    fn new(file: File) -> io::Result<Self> {
        let its = file.metadata()?;
        if !its.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let mut open = Self {
            file,
            id: (its.dev(), its.ino()),
            offset: 0,
            head: Vec::new(),
            tail: Vec::new(),
            still: None,
            partial: Vec::new(),
            is_skipping: false,
        };
        let mut head = Vec::with_capacity(HEAD);
        (&open.file).take(HEAD as u64).read_to_end(&mut head)?;
        open.head = head;
        Ok(open)
    }

    /// Whether it begins as it did, and what was read last is still there.
    fn is_known(&self) -> io::Result<bool> {
        let before = self.offset.saturating_sub(self.tail.len() as u64);
        Ok(self.has(0, &self.head)? && self.has(before, &self.tail)?)
    }

    fn has(&self, at: u64, expect: &[u8]) -> io::Result<bool> {
        let mut found = [0; TAIL];
        let Some(found) = found.get_mut(..expect.len()) else {
            return Ok(false);
        };
        match self.file.read_exact_at(found, at) {
            Ok(()) => Ok(found == expect),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.still = None;
        self.head.clear();
        self.tail.clear();
        self.partial.clear();
        self.is_skipping = false;
    }

    fn keep_tail(&mut self, chunk: &[u8]) {
        let from = chunk.len().saturating_sub(TAIL);
        let last = chunk.get(from..).unwrap_or_default();
        let keep = self.tail.len().min(TAIL - last.len());
        self.tail.drain(..self.tail.len() - keep);
        self.tail.extend_from_slice(last);
    }

    fn split(&mut self, chunk: &[u8], seen: &mut Seen, take: &mut impl FnMut(&[u8])) {
        let mut rest = chunk;
        // Who writes without O_APPEND (Traefik's log in its first file) goes on where it was when the file is truncated: what is before
        // that is a hole, which reads as zeros.
        if self.partial.is_empty() && rest.first() == Some(&0) {
            let end = rest.iter().position(|it| *it != 0).unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or_default();
        }
        while let Some(end) = rest.iter().position(|it| *it == b'\n') {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            if self.partial.len() + line.len() > MAX_LINE {
                seen.long += 1;
            } else if self.partial.is_empty() {
                seen.lines += 1;
                take(line);
            } else {
                self.partial.extend_from_slice(line);
                seen.lines += 1;
                take(&self.partial);
            }
            self.partial.clear();
        }
        if self.is_skipping {
            return;
        }
        if self.partial.len() + rest.len() > MAX_LINE {
            self.is_skipping = true;
            seen.long += 1;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, path::Path};

    use super::{Follower, Seen};

    struct Log {
        folder: tempfile::TempDir,
        follower: Follower,
    }

    impl Log {
        fn new(text: &str, before_end: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            fs::write(&path, text).unwrap();
            Self {
                follower: Follower::new(path, before_end),
                folder,
            }
        }

        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("log")
        }

        fn append(&self, text: &str) {
            append(&self.path(), text);
        }

        /// Lines, with commas.
        fn poll(&mut self) -> String {
            let mut lines = Vec::new();
            let more = self.follower.poll(u64::MAX, |it| {
                lines.push(String::from_utf8_lossy(it).into_owned());
            });
            assert!(!more.unwrap());
            lines.join(",")
        }
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_come_once_and_whole() {
        let mut log = Log::new("a\nb", u64::MAX);
        assert_eq!(log.poll(), "a");
        assert_eq!(log.poll(), "");
        log.append("c\n\nd\n");
        assert_eq!(log.poll(), "bc,,d");
        assert_eq!(log.follower.seen.lines, 4);
    }

    #[test]
    fn it_begins_with_a_whole_line() {
        let mut log = Log::new("old\nolder\nnew\n", 6);
        assert_eq!(log.poll(), "new");
        let mut log = Log::new("old\n", 0);
        assert_eq!(log.poll(), "");
        log.append("new\n");
        assert_eq!(log.poll(), "new");
        // The end of the file may be the middle of a line.
        let mut log = Log::new("old\nha", 0);
        assert_eq!(log.poll(), "");
        log.append("lf\nnew\n");
        assert_eq!(log.poll(), "new");
    }

    #[test]
    fn rotation() {
        let mut log = Log::new("a\n", u64::MAX);
        assert_eq!(log.poll(), "a");
        let old = log.folder.path().join("log.1");
        fs::rename(log.path(), &old).unwrap();
        assert_eq!(log.poll(), "");
        // Who writes has not noticed yet.
        append(&old, "b\nc");
        log.append("d\n");
        assert_eq!(log.poll(), "b,d");
        assert_eq!(
            (log.follower.seen.rotated, log.follower.seen.truncated),
            (1, 0)
        );
        // The same name, once more.
        fs::rename(log.path(), &old).unwrap();
        log.append("e\n");
        assert_eq!(log.poll(), "e");
    }

    #[test]
    fn truncation() {
        let mut log = Log::new("first line\n", u64::MAX);
        assert_eq!(log.poll(), "first line");
        fs::write(log.path(), "x\n").unwrap();
        assert_eq!(log.poll(), "x");
        // As long as before, and longer: known by how it begins.
        fs::write(log.path(), "y\n").unwrap();
        assert_eq!(log.poll(), "y");
        fs::write(log.path(), "z\nand more\n").unwrap();
        assert_eq!(log.poll(), "z,and more");
        fs::write(log.path(), "").unwrap();
        assert_eq!(log.poll(), "");
        log.append("w\n");
        assert_eq!(log.poll(), "w");
        assert_eq!(log.follower.seen.truncated, 4);
    }

    /// Lines that begin alike, as many as before, and more.
    #[test]
    fn truncation_between_looks() {
        let line = |last: &str| format!("{}{last}\n", "a".repeat(200));
        let mut log = Log::new(&line("1"), u64::MAX);
        for (text, expect) in [
            (line("2"), 1),
            (line("2"), 1),
            (line("3") + "more\n", 2),
            (line("4") + "more\n", 2),
        ] {
            log.poll();
            fs::write(log.path(), text).unwrap();
            assert_eq!(log.poll().split(',').count(), expect);
        }
        assert_eq!(log.follower.seen.truncated, 4);
        assert_eq!(log.follower.seen.lines, 7);
    }

    /// The same once more.
    #[test]
    fn the_same_line_after_truncation() {
        let mut log = Log::new("line\n", u64::MAX);
        assert_eq!(log.poll(), "line");
        let before = fs::metadata(log.path()).unwrap().modified().unwrap();
        // The clock of the file system has its own pace.
        while fs::metadata(log.path()).unwrap().modified().unwrap() == before {
            fs::write(log.path(), "line\n").unwrap();
        }
        assert_eq!(log.poll(), "line");
        assert_eq!(log.poll(), "");
    }

    /// Who writes does not notice.
    #[test]
    fn a_hole_after_truncation() {
        use std::os::unix::fs::FileExt as _;
        let long = format!("{}\n", "a".repeat(1000)).repeat(200);
        let mut log = Log::new(&long, 0);
        assert_eq!(log.poll(), "");
        let file = fs::OpenOptions::new().write(true).open(log.path()).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(b"b\nc\n", long.len() as u64).unwrap();
        assert_eq!(log.poll(), "b,c");
        assert_eq!(
            (log.follower.seen.truncated, log.follower.seen.long),
            (1, 0)
        );
    }

    #[test]
    fn it_comes_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut follower = Follower::new(path.clone(), 0);
        assert!(follower.poll(u64::MAX, |_| {}).is_err());
        assert!(follower.poll(u64::MAX, |_| {}).is_err());
        fs::create_dir(&path).unwrap();
        assert!(follower.poll(u64::MAX, |_| {}).is_err());
        assert!(follower.open.is_none());
    }

    #[test]
    fn long_lines_are_passed_over() {
        let long = "x".repeat(super::MAX_LINE + 1);
        let mut log = Log::new(&format!("a\n{long}\nb\n{long}"), u64::MAX);
        assert_eq!(log.poll(), "a,b");
        log.append(&long);
        assert_eq!(log.poll(), "");
        log.append("\nc\n");
        assert_eq!(log.poll(), "c");
        assert_eq!(log.follower.seen.long, 2);
        let exact = "y".repeat(super::MAX_LINE);
        log.append(&format!("{exact}\n"));
        assert_eq!(log.poll(), exact);
    }

    #[test]
    fn it_goes_on_after_a_restart() {
        let mut log = Log::new("a\nb", u64::MAX);
        assert_eq!(log.poll(), "a");
        let place = log.follower.place().unwrap();
        let again = |log: &mut Log| {
            log.follower = Follower::new(log.path(), 0);
            log.follower.resume(&place);
            log.poll()
        };
        // What came meanwhile, and the line that was not whole.
        log.append("c\nd\n");
        assert_eq!(again(&mut log), "bc,d");
        // Another file has the name, or another text.
        fs::rename(log.path(), log.folder.path().join("old")).unwrap();
        log.append("x\ny\n");
        assert_eq!(again(&mut log), "x,y");
        fs::copy(log.path(), log.folder.path().join("old")).unwrap();
        fs::rename(log.folder.path().join("old"), log.path()).unwrap();
        assert_eq!(again(&mut log), "x,y");
        fs::write(log.path(), "z").unwrap();
        assert_eq!(again(&mut log), "");
        fs::remove_file(log.path()).unwrap();
        log.follower = Follower::new(log.path(), 0);
        log.follower.resume(&place);
        log.append("later\n");
        assert_eq!(log.poll(), "later");
    }

    #[test]
    fn a_piece_at_a_time() {
        let lines = "line\n".repeat(100_000);
        let mut log = Log::new(&lines, u64::MAX);
        let mut count = 0;
        let mut polls = 0;
        while log.follower.poll(100_000, |_| count += 1).unwrap() {
            polls += 1;
        }
        assert_eq!((count, polls), (100_000, 4));
        let bytes = lines.len() as u64;
        let lines = 100_000;
        assert_eq!(
            log.follower.seen,
            Seen {
                bytes,
                lines,
                ..Seen::default()
            }
        );
    }
}
