//! The command line as kingpin, amtool's reader of flags, understands it, brought into the form that clap does: a command may be left
//! out where there is a usual one (`alert` means `alert query`), every switch has its `--no-…`, and flags that nobody gave come from
//! amtool's own configuration files.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
};

use clap::{Arg, Command};

/// What a command means that needs another one after it.
const USUAL: [(&str, &str); 5] = [
    ("alert", "query"),
    ("cluster", "show"),
    ("config", "show"),
    ("routes", "show"),
    ("silence", "query"),
];

/// A command line for clap.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) arguments: Vec<OsString>,
    /// Switches that are to be off, whatever their default is.
    pub(super) off: BTreeSet<String>,
}

/// Whether a command line is one of ours, and not the server's.
pub(super) fn names_a_command(root: &Command, arguments: &[OsString]) -> bool {
    let mut rest: VecDeque<OsString> = arguments.iter().skip(1).cloned().collect();
    let walk = Walk::new(root);
    while let Some(word) = rest.pop_front() {
        match walk.read(&word) {
            Read::Flag { takes_next, .. } => {
                if takes_next {
                    rest.pop_front();
                }
            }
            Read::Off(_) => {}
            Read::Command(_) | Read::Help => return true,
            Read::Unknown | Read::Value | Read::End => return false,
        }
    }
    false
}

/// Brings a command line into clap's form. `settings` are flags by their long names.
pub(super) fn complete(
    root: &Command,
    arguments: Vec<OsString>,
    settings: &BTreeMap<String, String>,
) -> Words {
    let mut arguments = VecDeque::from(arguments);
    let mut words = Words::default();
    words.arguments.extend(arguments.pop_front());
    let mut walk = Walk::new(root);
    let mut given = BTreeSet::new();
    // Where flags of the command may stand.
    let mut place = words.arguments.len();
    loop {
        let word = arguments.pop_front();
        let read = word.as_deref().map_or(Read::End, |it| walk.read(it));
        match (read, word) {
            (Read::Flag { names, takes_next }, Some(word)) => {
                for name in &names {
                    words.off.remove(name);
                }
                given.extend(names);
                words.arguments.push(word);
                if takes_next {
                    words.arguments.extend(arguments.pop_front());
                }
            }
            (Read::Off(name), _) => {
                given.insert(name.clone());
                words.off.insert(name);
            }
            (Read::Command(command), Some(word)) => {
                walk.path.push(command);
                words.arguments.push(word);
                place = words.arguments.len();
            }
            (Read::Help, Some(word)) => {
                words.arguments.push(word);
                words.arguments.extend(arguments);
                return words;
            }
            (Read::Unknown | Read::Value | Read::End, word) => {
                if let Some((usual, command)) = walk.usual() {
                    // The same word again, to the command that it was meant for.
                    if let Some(word) = word {
                        arguments.push_front(word);
                    }
                    walk.path.push(command);
                    words.arguments.push(usual.into());
                    place = words.arguments.len();
                    continue;
                }
                match word {
                    None => break,
                    Some(word) if word == "--" => {
                        words.arguments.push(word);
                        words.arguments.extend(arguments.drain(..));
                    }
                    Some(word) => words.arguments.push(word),
                }
            }
            // Without a word there is nothing to read.
            (Read::Flag { .. } | Read::Command(_) | Read::Help, None) => break,
        }
    }
    let mut added = Vec::new();
    for (name, value) in settings {
        let Some(arg) = walk.flag(|it| it.get_long() == Some(name)) else {
            continue;
        };
        if given.contains(name) {
            continue;
        }
        match (arg.get_action().takes_values(), value.as_str()) {
            (true, value) => added.push(OsString::from(format!("--{name}={value}"))),
            (false, "true") => added.push(OsString::from(format!("--{name}"))),
            (false, _) => {
                words.off.insert(name.clone());
            }
        }
    }
    words.arguments.splice(place..place, added);
    words
}

/// What a word is, where it stands.
enum Read<'a> {
    /// Flags (short ones may stand together), and whether the next word is a value of theirs.
    Flag {
        names: Vec<String>,
        takes_next: bool,
    },
    /// `--no-…`.
    Off(String),
    Command(&'a Command),
    Help,
    /// A flag that is not known here.
    Unknown,
    Value,
    /// `--`, or no word at all.
    End,
}

struct Walk<'a> {
    /// From the root to the command that is named so far.
    path: Vec<&'a Command>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Command) -> Self {
        Self { path: vec![root] }
    }

    fn here(&self) -> Option<&'a Command> {
        self.path.last().copied()
    }

    /// A flag of the command, or of one above it that says it is for those below too.
    fn flag(&self, is: impl Fn(&Arg) -> bool) -> Option<&'a Arg> {
        let here = self.path.len().saturating_sub(1);
        let commands = self.path.iter().enumerate().rev();
        let mut flags = commands.flat_map(|(at, command)| {
            let flags = command.get_arguments();
            flags.filter(move |it| at == here || it.is_global_set())
        });
        flags.find(|it| !it.is_positional() && is(it))
    }

    fn usual(&self) -> Option<(&'static str, &'a Command)> {
        let here = self.here()?;
        let (_, usual) = USUAL.iter().find(|(name, _)| *name == here.get_name())?;
        Some((usual, here.find_subcommand(usual)?))
    }

    fn read(&self, word: &OsStr) -> Read<'a> {
        let Some(text) = word.to_str() else {
            return Read::Value;
        };
        if text == "--" {
            return Read::End;
        }
        if matches!(text, "-h" | "--help") {
            return Read::Help;
        }
        if let Some(long) = text.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            if let Some(arg) = self.flag(|it| is_named(it, name)) {
                return Read::Flag {
                    names: arg.get_long().map(ToOwned::to_owned).into_iter().collect(),
                    takes_next: value.is_none() && arg.get_action().takes_values(),
                };
            }
            let switch = name.strip_prefix("no-").filter(|_| value.is_none());
            let switch = switch.and_then(|name| self.flag(|it| is_named(it, name)));
            let switch = switch.filter(|it| !it.get_action().takes_values());
            let switch = switch.and_then(Arg::get_long);
            return switch.map_or(Read::Unknown, |it| Read::Off(it.to_owned()));
        }
        if let Some(shorts) = text.strip_prefix('-').filter(|it| !it.is_empty()) {
            return self.shorts(shorts);
        }
        if text == "help" && self.here().is_some_and(Command::has_subcommands) {
            return Read::Help;
        }
        let command = self.here().and_then(|it| it.find_subcommand(text));
        command.map_or(Read::Value, Read::Command)
    }

    /// `-qo json`: switches, and at the end perhaps one with a value.
    fn shorts(&self, shorts: &str) -> Read<'a> {
        let mut names = Vec::new();
        let mut rest = shorts.chars();
        while let Some(short) = rest.next() {
            let Some(arg) = self.flag(|it| it.get_short() == Some(short)) else {
                return Read::Unknown;
            };
            names.extend(arg.get_long().map(ToOwned::to_owned));
            if arg.get_action().takes_values() {
                let takes_next = rest.as_str().is_empty();
                return Read::Flag { names, takes_next };
            }
        }
        Read::Flag {
            names,
            takes_next: false,
        }
    }
}

fn is_named(arg: &Arg, name: &str) -> bool {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    arg.get_long() == Some(name) || aliases.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::CommandFactory;

    use super::{complete, names_a_command};
    use crate::cli::Cli;

    fn words(text: &str) -> Vec<std::ffi::OsString> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn usual_commands_and_switches() {
        let root = Cli::command();
        for (given, expect, off) in [
            ("x alert", "x alert query", ""),
            ("x alert Foo -i", "x alert query Foo -i", ""),
            ("x alert query", "x alert query", ""),
            ("x -o json alert add a=b", "x -o json alert add a=b", ""),
            ("x alert -o json Foo", "x alert -o json query Foo", ""),
            ("x alert -i", "x alert query -i", ""),
            ("x silence -qo json", "x silence query -qo json", ""),
            ("x silence --no-expired", "x silence query", "expired"),
            (
                "x silence query --no-expired --expired",
                "x silence query --expired",
                "",
            ),
            (
                "x silence add --no-comment-required a",
                "x silence add a",
                "require-comment",
            ),
            (
                "x silence add --no-require-comment a",
                "x silence add a",
                "require-comment",
            ),
            (
                "x --no-version-check config",
                "x config show",
                "version-check",
            ),
            ("x config routes", "x config routes show", ""),
            (
                "x config routes --config.file f test a=b",
                "x config routes --config.file f test a=b",
                "",
            ),
            (
                "x config routes --config.file=f",
                "x config routes --config.file=f show",
                "",
            ),
            ("x alert --help", "x alert --help", ""),
            ("x help alert", "x help alert", ""),
            ("x alert -- add", "x alert query -- add", ""),
            ("x alert --bogus", "x alert query --bogus", ""),
        ] {
            let found = complete(&root, words(given), &BTreeMap::new());
            assert_eq!(found.arguments, words(expect), "{given}");
            let found: Vec<_> = found.off.into_iter().collect();
            assert_eq!(found.join(" "), off, "{given}");
        }
    }

    #[test]
    fn settings_fill_in() {
        let root = Cli::command();
        let settings = [
            ("alertmanager.url", "http://a"),
            ("author", "me"),
            ("expired", "true"),
            ("require-comment", "false"),
            ("unknown", "x"),
        ];
        let settings = settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        for (given, expect, off) in [
            (
                "x silence",
                "x silence query --alertmanager.url=http://a --expired",
                "",
            ),
            (
                "x silence add Foo -a you",
                "x silence add --alertmanager.url=http://a Foo -a you",
                "require-comment",
            ),
            (
                "x --alertmanager.url http://b silence query --no-expired",
                "x --alertmanager.url http://b silence query",
                "expired",
            ),
        ] {
            let found = complete(&root, words(given), &settings);
            assert_eq!(found.arguments, words(expect), "{given}");
            let found: Vec<_> = found.off.into_iter().collect();
            assert_eq!(found.join(" "), off, "{given}");
        }
    }

    #[test]
    fn whose_command_line_it_is() {
        let root = Cli::command();
        for (given, expect) in [
            ("x", false),
            ("x alert", true),
            ("x --alertmanager.url http://a -o json silence", true),
            ("x --no-version-check cluster", true),
            ("x --config.file alert", false),
            ("x --output alert", false),
            ("x run", false),
            ("x bogus alert", false),
            ("x help", true),
            ("x check-config", true),
        ] {
            assert_eq!(names_a_command(&root, &words(given)), expect, "{given}");
        }
    }
}
