//! A disk that is a file: a loop device of this machine, which hosts can have, too. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Program;

/// A disk, of which nothing is left when it is dropped.
#[derive(Debug)]
pub struct Disk {
    file: PathBuf,
    size: u64,
    device: String,
}

impl Disk {
    /// One of so many bytes with nothing on it, in a folder. None without the rights to make one.
    ///
    /// # Panics
    /// When the file cannot be made.
    #[must_use]
    pub fn new(folder: &Path, size: u64) -> Option<Self> {
        let file = folder.join("disk");
        fs::File::create(&file).expect("the disk's file can be made");
        let mut disk = Self {
            file,
            size,
            device: String::new(),
        };
        disk.clear();
        let ended = Program::at("losetup")
            .args(["--find".as_ref(), "--show".as_ref(), disk.file.as_os_str()])
            .run();
        ended.stdout.trim().clone_into(&mut disk.device);
        (ended.status.success() && !disk.device.is_empty()).then_some(disk)
    }

    /// Where this machine has it.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The number of its loop device.
    pub(crate) fn number(&self) -> &str {
        self.device.trim_start_matches("/dev/loop")
    }

    /// Nothing is on it any more.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn clear(&self) {
        let file = fs::OpenOptions::new().write(true).open(&self.file);
        let file = file.expect("the disk's file is there");
        for size in [0, self.size] {
            file.set_len(size).expect("the disk's file has a size");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if !self.device.is_empty() {
            // It goes with the machine otherwise.
            Program::at("losetup")
                .args(["--detach", &self.device])
                .clean_up();
        }
    }
}
