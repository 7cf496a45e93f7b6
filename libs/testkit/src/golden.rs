//! Golden files: what a program should give, checked in.

use std::{fs, path::Path};

/// Compares `found` with the file at `path` (relative to the repository). With `UPDATE_GOLDEN=1` writes the file in place of failing.
///
/// # Panics
/// When they differ, with the first line that does.
pub fn check(path: impl AsRef<Path>, found: &str) {
    let path = crate::root().join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|it| it == "1") {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the folder of golden files can be made");
        }
        fs::write(&path, found).expect("the golden file can be written");
        return;
    }
    let expect = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "cannot read {}: {error}; make it with UPDATE_GOLDEN=1",
            path.display()
        )
    });
    if expect == found {
        return;
    }
    let mut lines = (1_usize..).zip(expect.lines().zip(found.lines()));
    let difference = lines.find(|(_, (a, b))| a != b);
    let difference = match difference {
        Some((line, (a, b))) => format!("line {line}:\n expected: {a}\n    found: {b}"),
        None => format!(
            "one is longer: {} lines expected, {} found",
            expect.lines().count(),
            found.lines().count()
        ),
    };
    panic!(
        "{} differs (UPDATE_GOLDEN=1 writes it anew)\n{difference}",
        path.display()
    );
}

/// The same for an array of JSON, a line for each of its values.
///
/// # Panics
/// As [`check`] does.
pub fn check_values<'a>(
    path: impl AsRef<Path>,
    values: impl IntoIterator<Item = &'a serde_json::Value>,
) {
    let lines: Vec<_> = values.into_iter().map(ToString::to_string).collect();
    check(path, &format!("[\n{}\n]\n", lines.join(",\n")));
}
