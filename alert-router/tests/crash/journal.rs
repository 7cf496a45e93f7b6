//! The end of the newest journal as a crash of the machine leaves it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use crate::random::Random;

/// The newest `journal-*.log` of a storage folder, and its length.
pub(crate) fn newest(storage: &Path) -> Option<(PathBuf, u64)> {
    let entries = fs::read_dir(storage).unwrap().flatten();
    let journals = entries.filter(|it| {
        let name = it.file_name().to_string_lossy().into_owned();
        name.starts_with("journal-") && name.ends_with(".log")
    });
    let newest =
        journals.max_by_key(|it| (it.metadata().unwrap().modified().unwrap(), it.path()))?;
    Some((newest.path(), newest.metadata().unwrap().len()))
}

/// Writes to its end what is no record: zeros, noise, or what looks like the first half of one.
pub(crate) fn append_garbage(journal: &Path, random: &mut Random) {
    let length = usize::try_from(random.within(1, 300)).unwrap();
    let garbage: Vec<u8> = match random.within(0, 3) {
        0 => vec![0; length],
        1 => (0..length)
            .map(|_| random.next().to_le_bytes()[0])
            .collect(),
        _ => {
            // Of its own bytes, but a whole record among them would be none that was torn.
            let bytes = fs::read(journal).unwrap();
            let mut half: Vec<u8> = bytes.into_iter().take(length).collect();
            match half.first_mut() {
                Some(first) => *first ^= 0x5a,
                // Killed before the head was written.
                None => half.push(0x5a),
            }
            half
        }
    };
    let mut file = fs::OpenOptions::new().append(true).open(journal).unwrap();
    file.write_all(&garbage).unwrap();
}

/// Cuts bytes off that were written last, in the midst of a record: an end between two records would be none that was torn.
pub(crate) fn cut(journal: &Path, length: u64) {
    let bytes = fs::read(journal).unwrap();
    let length = if ends(&bytes).any(|it| it == length) {
        length - 1
    } else {
        length
    };
    let file = fs::OpenOptions::new().write(true).open(journal).unwrap();
    file.set_len(length).unwrap();
}

/// Where the records of a journal end: a head of 16 bytes, then each with its length, its checksum (four bytes each) and itself.
fn ends(journal: &[u8]) -> impl Iterator<Item = u64> {
    let mut end = 16;
    std::iter::from_fn(move || {
        let length = journal.get(end..)?.first_chunk::<4>()?;
        end += 8 + usize::try_from(u32::from_le_bytes(*length)).unwrap();
        Some(u64::try_from(end).unwrap())
    })
}
