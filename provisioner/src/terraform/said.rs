//! What Terraform says, line by line (`-json`), and one error out of it.

use serde::Deserialize;

use crate::output::one_line;

/// Problems that are told of one run.
const MAX_PROBLEMS: usize = 20;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Something begins to be made, changed or destroyed: the address, and Terraform's word.
    Begun(String, String),
    /// It is done, after so many seconds.
    Done(String, String, u64),
    Problem(Problem),
    /// Something else, or no JSON.
    Other,
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) is_error: bool,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    hook: Option<Hook>,
    diagnostic: Option<Diagnostic>,
}

#[derive(Debug, Deserialize)]
struct Hook {
    resource: Resource,
    action: Option<String>,
    elapsed_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    addr: String,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    detail: String,
    address: Option<String>,
    range: Option<Range>,
}

#[derive(Debug, Deserialize)]
struct Range {
    filename: String,
    start: Start,
}

#[derive(Debug, Deserialize)]
struct Start {
    line: u64,
}

/// Reads a line. What is not known is passed over: newer versions say more.
pub(super) fn parse(line: &str) -> Said {
    let Ok(line) = serde_json::from_str::<Line>(line) else {
        return Said::Other;
    };
    match (line.kind.as_deref(), line.hook, line.diagnostic) {
        (Some("apply_start"), Some(hook), _) => {
            Said::Begun(hook.resource.addr, hook.action.unwrap_or_default())
        }
        (Some("apply_complete"), Some(hook), _) => {
            let seconds = hook.elapsed_seconds.unwrap_or_default().max(0.0);
            let seconds = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
            Said::Done(
                hook.resource.addr,
                hook.action.unwrap_or_default(),
                seconds.as_secs(),
            )
        }
        (Some("diagnostic"), _, Some(it)) => Said::Problem(it.problem()),
        _ => Said::Other,
    }
}

impl Diagnostic {
    fn problem(self) -> Problem {
        let is_error = self.severity == "error";
        if let Some(text) = locked(&self.summary, &self.detail) {
            return Problem { is_error, text };
        }
        let mut text = String::new();
        if let Some(range) = &self.range {
            text += &format!("{}, line {}: ", range.filename, range.start.line);
        }
        if let Some(address) = &self.address {
            text += &format!("{address}: ");
        }
        text += &self.summary;
        if !self.detail.is_empty() {
            // Its lines are broken for a screen.
            let detail: Vec<_> = self.detail.split("\n\n").map(flowing).collect();
            text += &format!(": {}", detail.join("; "));
        }
        if self.summary.contains("Saved plan is stale") {
            text += " `plan` makes a new one";
        }
        Problem { is_error, text }
    }
}

/// Lines of a paragraph in one.
fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Who holds the state's lock, and how it is lifted when they do not.
fn locked(summary: &str, detail: &str) -> Option<String> {
    if !summary.contains("acquiring the state lock") {
        return None;
    }
    let held = Held::parse(detail)?;
    Some(format!(
        "the state is locked by {held}: wait until that has ended. When nobody works there any more, the lock was left behind: `provisioner state \
         unlock` looks, and lifts it"
    ))
}

/// A lock of the state that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: String,
    /// `user@host`.
    pub(super) who: String,
    operation: String,
    since: String,
}

impl Held {
    /// Out of what Terraform says of a lock.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let part = |name: &str| {
            let found = text.lines().find_map(|it| it.trim().strip_prefix(name));
            let found = found.map(str::trim).filter(|it| !it.is_empty());
            found.map(str::to_owned)
        };
        Some(Self {
            id: part("ID:")?,
            who: part("Who:").unwrap_or_else(|| "somebody".to_owned()),
            operation: part("Operation:").unwrap_or_else(|| "an operation".to_owned()),
            since: part("Created:").unwrap_or_else(|| "an unknown time".to_owned()),
        })
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (who, operation, since) = (&self.who, &self.operation, &self.since);
        write!(f, "{who} ({operation}, since {since})")
    }
}

/// The errors of a run, as one text.
pub(super) fn together(problems: &[Problem], stderr: &str, stdout: &str) -> String {
    let errors = problems
        .iter()
        .filter(|it| it.is_error)
        .map(|it| it.text.as_str());
    let errors: Vec<_> = errors.take(MAX_PROBLEMS).collect();
    if errors.is_empty() {
        return plain(stderr, stdout);
    }
    errors.join("\n  ")
}

/// An error in plain text, without the frame that is drawn round it.
pub(super) fn plain(stderr: &str, stdout: &str) -> String {
    let said = if stderr.trim().is_empty() {
        stdout
    } else {
        stderr
    };
    let mut text = String::new();
    let mut colour = false;
    for it in said.chars() {
        match it {
            '\u{1b}' => colour = true,
            'm' if colour => colour = false,
            '│' | '╷' | '╵' => {}
            _ if colour => {}
            _ => text.push(it),
        }
    }
    // What is about Terraform's own configuration comes first, and is no cause.
    let text = match text.find("Error: ") {
        Some(at) => text.get(at + "Error: ".len()..).unwrap_or_default(),
        None => text.as_str(),
    };
    let summary = text
        .trim()
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    if let Some(text) = locked(&summary, text) {
        return text;
    }
    let text = one_line(text);
    if text.is_empty() {
        "it ended without a word".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, Said, parse, plain, together};

    const LOCKED: &str = r#"{"@level":"error","@message":"Error: Error acquiring the state lock","diagnostic":{"severity":"error","summary":"Error acquiring the state lock","detail":"Error message: resource temporarily unavailable\nLock Info:\n  ID:        d1c2\n  Path:      terraform.tfstate\n  Operation: OperationTypeApply\n  Who:       ann@desk\n  Version:   1.11.4\n  Created:   2026-01-02 03:04:05 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock"},"type":"diagnostic"}"#;

    #[test]
    fn lines() {
        let error = |text: &str| {
            Said::Problem(Problem {
                is_error: true,
                text: text.to_owned(),
            })
        };
        for (line, expect) in [
            (r#"{"type":"version","terraform":"1.11.4"}"#, Said::Other),
            ("no JSON", Said::Other),
            ("", Said::Other),
            ("[1]", Said::Other),
            (r#"{"type":"apply_start"}"#, Said::Other),
            (
                r#"{"type":"apply_start","hook":{"resource":{"addr":"a.b[0]"},"action":"create"}}"#,
                Said::Begun("a.b[0]".to_owned(), "create".to_owned()),
            ),
            (
                r#"{"type":"apply_complete","hook":{"resource":{"addr":"a.b[0]"},"action":"delete","elapsed_seconds":12}}"#,
                Said::Done("a.b[0]".to_owned(), "delete".to_owned(), 12),
            ),
            (
                r#"{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Unsupported argument","detail":"An argument\nis not.\n\nDid you?","range":{"filename":"main.tf","start":{"line":4,"column":1,"byte":1}}}}"#,
                error("main.tf, line 4: Unsupported argument: An argument is not.; Did you?"),
            ),
            (
                r#"{"type":"diagnostic","diagnostic":{"severity":"error","summary":"refused","detail":"","address":"a.b[0]"}}"#,
                error("a.b[0]: refused"),
            ),
            (
                LOCKED,
                error(
                    "the state is locked by ann@desk (OperationTypeApply, since 2026-01-02 03:04:05 +0000 UTC): wait until that has ended. When nobody works there any more, the lock was left behind: `provisioner state unlock` looks, and lifts it",
                ),
            ),
        ] {
            assert_eq!(parse(line), expect, "{line}");
        }
    }

    #[test]
    fn texts() {
        let framed = "There are problems\n╷\n│ Warning: x\n╵\n\u{1b}[31m╷\u{1b}[0m\n│ \u{1b}[1mError: \u{1b}[0mNo such\n│\n│ a thing\n╵\n";
        assert_eq!(plain(framed, ""), "No such; a thing");
        assert_eq!(plain("", "said\n"), "said");
        assert_eq!(plain("", ""), "it ended without a word");
        let problem = |is_error, text: &str| Problem {
            is_error,
            text: text.to_owned(),
        };
        let all = [problem(false, "w"), problem(true, "a"), problem(true, "b")];
        assert_eq!(together(&all, "x", ""), "a\n  b");
        assert_eq!(together(&all[..1], "Error: x", ""), "x");
    }
}
