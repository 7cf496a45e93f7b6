//! Units of systemd, from those of packaging/ and data/units/: with a user that stays, so that files can be its own, and our paths.

use anyhow::{Context as _, bail};

use crate::desired::PROGRAMS;

/// A unit for an installed program. `program` is its path below the folder of programs, `without` are beginnings of lines that are left out,
/// `needs` are lines about what must be there before it starts.
pub(super) fn unit(
    text: &str,
    user: &str,
    program: &str,
    arguments: &[String],
    without: &[&str],
    needs: &str,
) -> anyhow::Result<String> {
    let mut unit = String::new();
    let mut lines = text.lines();
    let mut left: Vec<_> = ["After=", "DynamicUser=", "ExecStart="]
        .iter()
        .chain(without)
        .collect();
    while let Some(line) = lines.next() {
        let known = left.iter().position(|it| line.starts_with(**it));
        let Some(known) = known.map(|it| left.remove(it)) else {
            unit.push_str(line);
            unit.push('\n');
            continue;
        };
        // The rest of a line that goes on.
        let mut last = line;
        while last.ends_with('\\') {
            last = lines.next().context("the unit breaks off")?;
        }
        match *known {
            // The address that it listens on may come late, or go for a while.
            "After=" => {
                unit.push_str(
                    "After=network-online.target\nWants=network-online.target\nStartLimitIntervalSec=0\n",
                );
                unit.push_str(needs);
            }
            "DynamicUser=" => unit.push_str(&format!("User={user}\nGroup={user}\n")),
            "ExecStart=" => {
                unit.push_str(&format!("ExecStart={PROGRAMS}/{program}"));
                for argument in arguments {
                    unit.push_str(&format!(" \\\n    {}", word(argument)));
                }
                unit.push('\n');
            }
            _ => {}
        }
    }
    if let Some(missing) = left.first() {
        bail!("the unit of {program} has no line {missing}");
    }
    Ok(unit)
}

/// A text of packaging/ with other words in it, each of which must be there.
pub(super) fn adapted(text: &str, words: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for (from, to) in words {
        if !text.contains(from) {
            bail!("a file of packaging/ says nothing of {from}");
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

/// An argument as systemd reads it.
fn word(argument: &str) -> String {
    let escaped = argument.replace('%', "%%").replace('$', "$$");
    let plain = |it: char| !it.is_whitespace() && !matches!(it, '"' | '\'' | '\\' | ';');
    if !escaped.is_empty() && escaped.chars().all(plain) {
        return escaped;
    }
    let escaped = escaped.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::{unit, word};

    const TEXT: &str = "[Unit]\nAfter=network.target\n[Service]\nLoadCredential=x\nExecStart=/x --a \\\n  --b\nDynamicUser=yes\nUMask=0077\n";

    #[test]
    fn adapted() {
        let arguments = ["--c=%".to_owned(), "--d=e f".to_owned()];
        let without = ["LoadCredential="];
        let found = unit(TEXT, "u", "p/p", &arguments, &without, "Needs=x\n").unwrap();
        assert_eq!(
            found,
            "[Unit]\nAfter=network-online.target\nWants=network-online.target\nStartLimitIntervalSec=0\nNeeds=x\n[Service]\nExecStart=/opt/scalar-dl-monitoring/p/p \\\n    --c=%% \\\n    \"--d=e f\"\nUser=u\nGroup=u\nUMask=0077\n"
        );
        let error = unit(TEXT, "u", "p/p", &[], &["Nothing="], "").unwrap_err();
        assert_eq!(error.to_string(), "the unit of p/p has no line Nothing=");
    }

    #[test]
    fn words() {
        for (argument, expect) in [
            ("--a=[::1]:9100", "--a=[::1]:9100"),
            ("$x", "$$x"),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("", "\"\""),
        ] {
            assert_eq!(word(argument), expect);
        }
    }
}
