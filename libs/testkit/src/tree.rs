//! Trees of files in one file each, such as a machine's `/proc` and `/sys`, of which a test wants many small files.
//!
//! `==> path` starts a file, whose lines follow; `--> path target` is a symbolic link.

use std::{fs, os::unix::fs::symlink, path::Path};

/// Writes a tree's files below a folder. Panics, as tests do, when it cannot.
pub fn unpack(tree: impl AsRef<Path>, folder: impl AsRef<Path>) {
    let (tree, folder) = (tree.as_ref(), folder.as_ref());
    let text =
        fs::read_to_string(tree).unwrap_or_else(|error| panic!("{}: {error}", tree.display()));
    for (path, text) in files(&text) {
        let path = folder.join(path);
        write(&path, |path| fs::write(path, &text));
    }
    for (path, target) in text.lines().filter_map(link) {
        write(&folder.join(path), |path| symlink(target, path));
    }
}

/// The files of a tree: path and content.
#[must_use]
pub fn files(tree: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in tree.lines().filter(|it| link(it).is_none()) {
        match (line.strip_prefix("==> "), found.last_mut()) {
            (Some(path), _) => found.push((path, String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => panic!("{line:?} belongs to no file"),
        }
    }
    found
}

fn link(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("--> ")?.split_once(' ')
}

fn write(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) {
    let parent = path.parent().unwrap_or(Path::new(""));
    let written = fs::create_dir_all(parent).and_then(|()| write(path));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
