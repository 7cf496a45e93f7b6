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
            if let Some(first) = half.first_mut() {
                *first ^= 0x5a;
            }
            half
        }
    };
    let mut file = fs::OpenOptions::new().append(true).open(journal).unwrap();
    file.write_all(&garbage).unwrap();
}

/// Cuts bytes off that were written last.
pub(crate) fn cut(journal: &Path, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(journal).unwrap();
    file.set_len(length).unwrap();
}
