//! What people read: tables, lines, the one message of a failure.

use std::io::{self, Write};

/// Prints a line. A reader that has gone away (`| head`) is no failure of the command.
pub(crate) fn say(text: impl AsRef<str>) {
    drop(writeln!(io::stdout(), "{}", text.as_ref()));
}

/// Prints a warning.
pub(crate) fn warn(text: impl AsRef<str>) {
    drop(writeln!(io::stderr(), "warning: {}", text.as_ref()));
}

/// Says what is going on, beside what the command prints.
pub(crate) fn note(text: impl AsRef<str>) {
    drop(writeln!(io::stderr(), "{}", text.as_ref()));
}

/// Prints why a command failed, cause by cause.
pub(crate) fn complain(error: &anyhow::Error) {
    drop(writeln!(io::stderr(), "provisioner: {error:#}"));
}

/// Prints rows in columns; the first row is the heading. Each is one line, whatever stands in it.
pub(crate) fn table(rows: &[Vec<String>]) {
    let row = |row: &Vec<String>| row.iter().map(|it| printable(&one_line(it))).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    let mut widths = Vec::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        say(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// What several lines say, in one.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// What came from elsewhere must not steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|it| {
            if it.is_control() && it != '\n' && it != '\t' {
                '\u{fffd}'
            } else {
                it
            }
        })
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// Seconds, as people say them.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, one_line, printable};

    #[test]
    fn durations() {
        for (seconds, expect) in [(5, "5s"), (65, "1m5s"), (3_700, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(duration(seconds), expect);
        }
    }

    #[test]
    fn texts() {
        assert_eq!(
            printable("a\u{1b}[31mb\r\nc\n"),
            "a\u{fffd}[31mb\u{fffd}\nc"
        );
        assert_eq!(one_line(" a\r\n\n b\n"), "a; b");
        assert_eq!(one_line(""), "");
    }
}
