//! BENCHMARKS.md: a section for each program, and the tables in them.

use std::{fs, io};

const HEAD: &str =
    "# Benchmarks\n\nWritten by `make bench`. Figures of shared machines: read them as ratios.\n";

/// What was found of one program.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    /// It was ended when it had taken so much.
    Above(f64),
    /// It has no such thing.
    Nothing,
    /// It did not do what it was asked; standard error has why.
    Failed,
}

/// One measure of both programs: ours, and the one whose place it takes.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// What must hold: of the ratio, unless it has a unit.
    pub(crate) bar: &'static str,
    pub(crate) values: [Value; 2],
}

/// A table of measures.
pub(crate) fn table(ours: &str, theirs: &str, rows: &[Row]) -> String {
    let mut text =
        format!("| measure | {ours} | {theirs} | ratio | bar |\n|---|---|---|---|---|\n");
    for Row { what, bar, values } in rows {
        let [ours, theirs] = values.map(shown);
        let ratio = ratio(values);
        text.push_str(&format!(
            "| {what} | {ours} | {theirs} | {ratio} | {bar} |\n"
        ));
    }
    text
}

fn shown(value: Value) -> String {
    match value {
        // What is much below 1 would be 0.00.
        Value::Number(number) if number < 0.1 => format!("{number:.4}"),
        Value::Number(number) => format!("{number:.2}"),
        Value::Above(number) => format!("> {number:.0} (stopped)"),
        Value::Nothing => "–".to_owned(),
        Value::Failed => "failed".to_owned(),
    }
}

fn ratio(values: &[Value; 2]) -> String {
    match *values {
        [Value::Number(ours), Value::Number(theirs)] if ours / theirs < 0.01 => {
            format!("{:.4}", ours / theirs)
        }
        [Value::Number(ours), Value::Number(theirs)] => format!("{:.2}", ours / theirs),
        [Value::Number(ours), Value::Above(theirs)] => format!("< {:.4}", ours / theirs),
        _ => String::new(),
    }
}

/// The machine and our program's version.
pub(crate) fn machine() -> io::Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|it| {
            it.strip_prefix("model name")?
                .trim_start()
                .strip_prefix(':')
        })
        .unwrap_or(" unknown");
    let cores = cpu.lines().filter(|it| it.starts_with("processor")).count();
    Ok(format!(
        "Machine: {cores} cores:{model}, Linux {}. Ours: {} (revision {}).",
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        option_env!("BUILD_REVISION").unwrap_or("unknown"),
    ))
}

/// The page with one section written anew. Sections stand in the order of the names; what has no name is left out.
pub(crate) fn with(page: &str, names: &[&str], name: &str, section: &str) -> String {
    let mut text = HEAD.to_owned();
    for known in names {
        let found = if *known == name {
            Some(section.trim())
        } else {
            old(page, known)
        };
        if let Some(found) = found {
            text.push_str(&format!("\n## {known}\n\n{found}\n"));
        }
    }
    text
}

/// The text of a section.
fn old<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let mut sections = page.split("\n## ").skip(1);
    let section = sections.find_map(|it| it.strip_prefix(name)?.strip_prefix('\n'))?;
    Some(section.trim())
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Row, Value, table, with};

    #[test]
    fn one_section_is_written_anew() {
        let page = |sections: &str| format!("{HEAD}{sections}");
        for (before, name, after) in [
            ("", "b", page("\n## b\n\nnew\n")),
            (
                "# Old\n\n## a\n\n1\n\n### x\n\n2\n",
                "b",
                page("\n## a\n\n1\n\n### x\n\n2\n\n## b\n\nnew\n"),
            ),
            (
                "# Old\n\n## b\n\n1\n",
                "a",
                page("\n## a\n\nnew\n\n## b\n\n1\n"),
            ),
            (
                "# Old\n\n## a\n\n1\n\n## b\n\n2\n",
                "a",
                page("\n## a\n\nnew\n\n## b\n\n2\n"),
            ),
            ("# Old\n\n## gone\n\n1\n", "a", page("\n## a\n\nnew\n")),
        ] {
            assert_eq!(with(before, &["a", "b"], name, "new\n"), after, "{before}");
        }
    }

    #[test]
    fn rows() {
        use Value::{Above, Failed, Nothing, Number};
        for (values, expect) in [
            ([Number(1.0), Number(4.0)], "| w | 1.00 | 4.00 | 0.25 | b |"),
            (
                [Number(0.012), Number(4.0)],
                "| w | 0.0120 | 4.00 | 0.0030 | b |",
            ),
            (
                [Number(0.5), Above(20.0)],
                "| w | 0.50 | > 20 (stopped) | < 0.0250 | b |",
            ),
            ([Number(0.5), Nothing], "| w | 0.50 | – |  | b |"),
            ([Failed, Number(1.0)], "| w | failed | 1.00 |  | b |"),
        ] {
            let row = Row {
                what: "w",
                bar: "b",
                values,
            };
            let text = table("ours", "theirs", &[row]);
            assert_eq!(text.lines().last(), Some(expect));
        }
    }
}
