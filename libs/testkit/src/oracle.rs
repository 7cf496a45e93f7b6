//! Programs that know the truth: another project's own code, asked in JSON.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Writes a question to a program, which reads all of it before it answers, and gives what it writes.
///
/// # Panics
/// When it fails.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "an oracle is a program of its own"
)]
pub fn ask(program: &Path, question: &Value) -> String {
    let mut oracle = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = oracle.stdin.take().expect("it is piped");
    stdin
        .write_all(question.to_string().as_bytes())
        .expect("the oracle reads its question");
    drop(stdin);
    let answer = oracle.wait_with_output().expect("it can be waited for");
    assert!(answer.status.success(), "{} failed", program.display());
    String::from_utf8(answer.stdout).expect("JSON is UTF-8")
}
