//! Starting other programs: the one place where the provisioner does.

use std::{ffi::OsStr, os::unix::process::CommandExt as _, process::Command};

/// A command; the caller says what it reads and where it writes.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Lets the kernel end a child when the thread that starts it ends, however that happens: a supervisor that is killed leaves
/// no orphans. The thread must therefore live as long as the child should.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        // The parent may have ended before the line above.
        if rustix::process::getppid() != Some(parent) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "only a system call in the child can bind it to its parent"
    )]
    // SAFETY: the closure runs between fork and exec; it makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// A word for a shell, in quotes where it needs them.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |it: char| {
        it.is_ascii_alphanumeric()
            || matches!(it, '.' | '_' | '-' | '/' | '=' | ':' | '+' | '@' | ',')
    };
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words() {
        for (word, expect) in [
            ("/usr/bin/x-1.2", "/usr/bin/x-1.2"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(shell_word(word), expect);
        }
    }
}
