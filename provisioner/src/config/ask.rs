//! Missing keys are asked for on a terminal, as Terraform asks for its variables.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use daemon::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::{
    check::{Held, Values},
    keys::{Holds, Key},
};

/// Whether somebody is there who may answer.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a key; whether there was an answer. It holds for this run.
pub(super) fn ask(key: &Key, values: &mut Values) -> bool {
    let is_secret = matches!(key.holds, Holds::Secret | Holds::SecretUrl);
    let mut out = io::stderr();
    drop(write!(
        out,
        "{} ({}): ",
        key.name,
        key.about.trim_end_matches('.')
    ));
    drop(out.flush());
    let answer = if is_secret { without_echo() } else { line() };
    if is_secret {
        drop(writeln!(out));
    }
    let Some(answer) = answer.filter(|it| !it.is_empty()) else {
        return false;
    };
    values.insert(key.name, Held::Text(Secret::new(answer)));
    true
}

fn line() -> Option<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

fn without_echo() -> Option<String> {
    let terminal = io::stdin();
    let before = tcgetattr(&terminal).ok()?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).ok()?;
    let answer = line();
    // The terminal is the user's: it is left as it was.
    tcsetattr(&terminal, OptionalActions::Flush, &before).unwrap_or(());
    answer
}
