//! Columns of text as Go's `text/tabwriter` sets them: a tab ends a cell, two spaces stand between the widest cell and the next.

use std::fmt::Write;

const PADDING: usize = 2;

/// Sets the columns of a text whose cells end with tabs. A column's width is that of the lines one below the other that have it, so
/// that a line without tabs parts two tables.
pub(super) fn columns(text: &str) -> String {
    let mut lines: Vec<Vec<Cell<'_>>> = text.lines().map(cells).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let in_column = |line: &Vec<Cell<'_>>| column + 1 < line.len();
        for block in lines.chunk_by_mut(|a, b| in_column(a) == in_column(b)) {
            let cells = block.iter_mut().filter(|it| in_column(it));
            let mut cells: Vec<_> = cells.filter_map(|it| it.get_mut(column)).collect();
            let widest = cells.iter().map(|it| it.text.chars().count()).max();
            for cell in &mut cells {
                cell.width = widest.unwrap_or(0) + PADDING;
            }
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for line in lines {
        for Cell { text, width } in line {
            // Writing to a String cannot fail.
            write!(out, "{text:width$}").unwrap_or(());
        }
        out.push('\n');
    }
    out
}

struct Cell<'a> {
    text: &'a str,
    /// Zero for the last of a line, which is in no column.
    width: usize,
}

fn cells(line: &str) -> Vec<Cell<'_>> {
    line.split('\t')
        .map(|text| Cell { text, width: 0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    /// Right column: printed by Go's `text/tabwriter`.
    #[test]
    fn as_go_sets_them() {
        for (text, expect) in [
            ("", ""),
            ("a\tb\t\nccc\td\t\n", "a    b  \nccc  d  \n"),
            ("a\t\t\n\tb\t\n", "a     \n   b  \n"),
            ("A:\tx\nBBBB:\ty\n\nA\tN\n", "A:     x\nBBBB:  y\n\nA  N\n"),
            ("a\tb\nno tabs\nccc\td\n", "a  b\nno tabs\nccc  d\n"),
            ("ü\tb\nxyz\tc\n", "ü    b\nxyz  c\n"),
        ] {
            assert_eq!(columns(text), expect, "{text:?}");
        }
    }
}
