//! `--config.file`: the flags of a program in a YAML file.
//!
//! Each key is a flag's long name without its dashes. A mapping stands for the names that begin with its key and a dot, so
//! that these two say the same:
//!
//! ```yaml
//! web.telemetry-path: /metrics
//! ```
//!
//! ```yaml
//! web:
//!   telemetry-path: /metrics
//! ```
//!
//! A list gives a flag that may be repeated once for each of its items. A switch is `true` or `false`, which is as if it were
//! not there. Numbers and words are taken as they are written, so that `5m` needs no quotes. The command line wins over the
//! environment, the environment over the file, the file over what a flag is by default; a list that is given twice is
//! not put together but the one that wins is taken whole.
//!
//! A mistake in the file is told with its line and key, also when the command line gives the same flag.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, Command, CommandFactory, FromArgMatches, builder::Resettable, error::ErrorKind,
    parser::ValueSource,
};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

use super::command;
use crate::Program;

/// The flag of programs that read the others from a file.
#[derive(Debug, Clone, clap::Args)]
pub struct FileFlags {
    /// File in YAML with flags as its keys, without dashes; the command line and the environment win over it.
    #[arg(id = FLAG, long = FLAG, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

const FLAG: &str = "config.file";
/// These say what to do before there is a file.
const NOT_IN_A_FILE: [&str; 3] = [FLAG, "help", "version"];
/// A larger file is no list of flags.
const MAX_SIZE: u64 = 1 << 20;
/// No flag's name has more parts.
const MAX_DEPTH: usize = 8;
/// No flag's name has more characters.
const MAX_NAME: usize = 100;

/// Why a program does not know its flags.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// The command line is wrong, or asks for help; clap knows what to print.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the file {} (--config.file)", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("{}:{line}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Where in it, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// Reads a command line, and the file that it or the environment names.
///
/// # Errors
/// When the command line or the file is wrong.
pub fn parse_with_file<Flags: CommandFactory + FromArgMatches>(
    program: &Program,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Flags, FlagsError> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // What is wrong with the command line is said when all of it is read.
    let early = command::<Flags>(program)
        .ignore_errors(true)
        .try_get_matches_from(&arguments)?;
    let path = early.try_get_raw(FLAG).ok().flatten();
    if let Some(path) = path.and_then(|mut it| it.next_back()) {
        let path = Path::new(path);
        let text = read(path).map_err(|source| FlagsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let given = |arg: &Arg| {
            matches!(
                early.value_source(arg.get_id().as_str()),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            )
        };
        let words = words(&text, &command::<Flags>(program), given);
        let words = words.map_err(|it| FlagsError::File {
            path: path.to_owned(),
            line: it.line,
            reason: it.reason,
        })?;
        let after_name = arguments.len().min(1);
        arguments.splice(after_name..after_name, words);
    }
    Ok(super::parse(program, arguments)?)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let size = File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(size).is_ok_and(|it| it > MAX_SIZE) {
        return Err(io::Error::other(format!(
            "it has more than {MAX_SIZE} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|_error| io::Error::other("it is no text in UTF-8"))
}

/// Where and why a file is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    line: usize,
    reason: String,
}

fn mistake(line: usize, reason: impl Into<String>) -> Mistake {
    Mistake {
        line,
        reason: reason.into(),
    }
}

/// A flag as the file gives it.
struct Entry {
    key: String,
    line: usize,
    values: Vec<Scalar>,
    list: bool,
}

struct Scalar {
    line: usize,
    text: String,
    /// Not in quotes.
    plain: bool,
}

/// The file's flags as words of a command line, but for those that are `given` elsewhere.
fn words(
    text: &str,
    command: &Command,
    given: impl Fn(&Arg) -> bool,
) -> Result<Vec<OsString>, Mistake> {
    let known: BTreeMap<&str, &Arg> = command
        .get_arguments()
        .filter_map(|it| Some((it.get_long()?, it)))
        .filter(|(name, _)| !NOT_IN_A_FILE.contains(name))
        .collect();
    let mut words = Vec::new();
    let mut lines = BTreeMap::new();
    for entry in entries(text, &known)? {
        let Entry { key, line, .. } = &entry;
        if NOT_IN_A_FILE.contains(&key.as_str()) {
            return Err(mistake(*line, format!("{key} cannot stand in a file")));
        }
        let Some(arg) = known.get(key.as_str()) else {
            return Err(mistake(*line, unknown(key, &known)));
        };
        if let Some(first) = lines.insert(key.clone(), *line) {
            return Err(mistake(
                *line,
                format!("{key} stands in line {first} already"),
            ));
        }
        let its = entry.words(arg)?;
        entry.check(command, &its)?;
        if !given(arg) {
            words.extend(its.into_iter().map(|(_, word)| OsString::from(word)));
        }
    }
    Ok(words)
}

fn unknown(key: &str, known: &BTreeMap<&str, &Arg>) -> String {
    // What is longer than any flag is shown by its start, and is like none of them.
    if let Some((at, _)) = key.char_indices().nth(MAX_NAME) {
        let (start, _) = key.split_at(at);
        return format!("there is no flag {start}…; --help lists them");
    }
    let near = known
        .keys()
        .map(|it| (strsim::damerau_levenshtein(key, it), it))
        .filter(|(distance, it)| *distance <= 2.max(it.len() / 4))
        .min();
    match near {
        Some((_, near)) => format!("there is no flag {key}; did you mean {near}?"),
        None => format!("there is no flag {key}; --help lists them"),
    }
}

impl Entry {
    /// The words that give the flag so, with their lines.
    fn words(&self, arg: &Arg) -> Result<Vec<(usize, String)>, Mistake> {
        let key = &self.key;
        if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse) {
            return match self.values.as_slice() {
                [value] if !self.list && is(value, ["true", "True", "TRUE"]) => {
                    Ok(vec![(value.line, format!("--{key}"))])
                }
                [value] if !self.list && is(value, ["false", "False", "FALSE"]) => Ok(Vec::new()),
                _ => Err(mistake(self.line, format!("{key} is true or false"))),
            };
        }
        if self.list && !matches!(arg.get_action(), ArgAction::Append) {
            let reason = format!("{key} takes one value, not a list");
            return Err(mistake(self.line, reason));
        }
        let word = |it: &Scalar| {
            if it.plain && is(it, ["", "~", "null", "Null", "NULL"]) {
                return Err(mistake(it.line, format!("{key} has no value")));
            }
            Ok((it.line, format!("--{key}={}", it.text)))
        };
        self.values.iter().map(word).collect()
    }

    /// Whether clap takes the words, each for itself: so that what it refuses has a line.
    fn check(&self, command: &Command, words: &[(usize, String)]) -> Result<(), Mistake> {
        for (line, word) in words {
            // Without the environment, whose mistakes are none of the file's.
            let command = command.clone().mut_args(|it| it.env(Resettable::Reset));
            let Err(error) = command.try_get_matches_from(["", word]) else {
                continue;
            };
            // Another line or the command line may give it.
            let incomplete = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            if !incomplete {
                let reason = format!("{}: {}", self.key, one_line(&error));
                return Err(mistake(*line, reason));
            }
        }
        Ok(())
    }
}

fn is<const N: usize>(value: &Scalar, words: [&str; N]) -> bool {
    words.contains(&value.text.as_str())
}

/// clap's message without what it says about the command line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|it| !it.starts_with("Usage: ") && !it.starts_with("For more information"))
        .filter(|it| !it.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// A list or mapping whose end is yet to come.
enum Open {
    Map {
        /// What its keys begin with, the dot included.
        prefix: String,
        /// The key whose value comes next.
        key: Option<(String, usize)>,
    },
    List,
}

/// The file's keys in its order, with mappings taken apart.
fn entries(text: &str, known: &BTreeMap<&str, &Arg>) -> Result<Vec<Entry>, Mistake> {
    const NOT_A_MAPPING: &str = "the file must be a mapping from flags to values";
    let options = granit_parser::options! {
        block_scalar_eof_without_line_feed: true,
        emit_comments: false,
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|it| mistake(it.marker().line(), it.info()))?;
        let line = span.start.line();
        let depth = open.len();
        match (event, open.last_mut()) {
            (Event::DocumentStart(..), _) => {
                documents += 1;
                if documents > 1 {
                    return Err(mistake(line, "a second document begins here"));
                }
            }
            (Event::Scalar(text, style, ..), place) => {
                let value = Scalar {
                    line,
                    plain: style == ScalarStyle::Plain,
                    text: text.into_owned(),
                };
                match place {
                    // A file of comments alone.
                    None if value.plain && is(&value, ["", "~", "null"]) => {}
                    None => return Err(mistake(line, NOT_A_MAPPING)),
                    Some(Open::Map { prefix, key }) => match key.take() {
                        None => *key = Some((format!("{prefix}{}", value.text), line)),
                        Some((key, line)) => entries.push(Entry {
                            key,
                            line,
                            values: vec![value],
                            list: false,
                        }),
                    },
                    Some(Open::List) => {
                        if let Some(entry) = entries.last_mut() {
                            entry.values.push(value);
                        }
                    }
                }
            }
            (Event::MappingStart(..), None) => open.push(Open::Map {
                prefix: String::new(),
                key: None,
            }),
            (Event::MappingStart(..), Some(Open::Map { key, .. })) => {
                let (key, line) = key
                    .take()
                    .ok_or_else(|| mistake(line, "a key must be a word"))?;
                let prefix = format!("{key}.");
                let has_parts = known.keys().any(|it| it.starts_with(&prefix));
                if known.contains_key(key.as_str()) && !has_parts {
                    let reason = format!("{key} takes a value, not a mapping");
                    return Err(mistake(line, reason));
                }
                if depth >= MAX_DEPTH {
                    return Err(mistake(line, unknown(&key, known)));
                }
                open.push(Open::Map { prefix, key: None });
            }
            (Event::SequenceStart(..), Some(Open::Map { key, .. })) => {
                let (key, line) = key
                    .take()
                    .ok_or_else(|| mistake(line, "a key must be a word"))?;
                entries.push(Entry {
                    key,
                    line,
                    values: Vec::new(),
                    list: true,
                });
                open.push(Open::List);
            }
            (Event::SequenceStart(..), None) => return Err(mistake(line, NOT_A_MAPPING)),
            (Event::MappingStart(..) | Event::SequenceStart(..), Some(Open::List)) => {
                let key = entries.last().map_or("", |it| it.key.as_str());
                return Err(mistake(line, format!("the items of {key} must be values")));
            }
            (Event::MappingEnd | Event::SequenceEnd, _) => {
                open.pop();
            }
            (Event::Alias(_), _) => return Err(mistake(line, "aliases (*) are not read")),
            _ => {}
        }
    }
    Ok(entries)
}

#[cfg(test)]
#[expect(clippy::unwrap_in_result, reason = "helpers of tests fail as tests do")]
mod tests {
    use std::path::PathBuf;

    use super::{FileFlags, FlagsError, parse_with_file};
    use crate::{CommonFlags, Program, chain};

    const PROGRAM: Program = Program {
        name: "test-exporter",
        namespace: "test_exporter",
        about: "A test.",
        listen: ":9999",
        version: "1.2.3",
    };

    #[derive(Debug, clap::Parser)]
    struct Flags {
        #[command(flatten)]
        file: FileFlags,
        #[command(flatten)]
        common: CommonFlags,
        #[arg(long = "jolokia.url", default_value = "http://localhost")]
        url: String,
        #[arg(long = "jolokia.batch", default_value_t = 10)]
        batch: u32,
        /// A required flag, which the file may give.
        #[arg(long = "name", required = true)]
        name: String,
        /// A variable that cargo sets for tests.
        #[arg(long = "package", env = "CARGO_PKG_NAME", default_value = "none")]
        package: String,
    }

    fn read(yaml: &str, arguments: &[&str]) -> Result<Flags, FlagsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flags.yml");
        std::fs::write(&path, yaml).unwrap();
        let file = format!("--config.file={}", path.display());
        let words = ["test-exporter", &file].into_iter();
        let words = words.chain(arguments.iter().copied());
        parse_with_file(&PROGRAM, words.map(Into::into))
    }

    #[test]
    fn every_spelling() {
        let flags = read(
            "
# A comment.
name: n
jolokia:
  url: 'http://a: b'   # With quotes.
  batch: 0
web.listen-address: [':1', \"127.0.0.1:2\"]
web:
  systemd-socket: true
  disable-exporter-metrics: false
  config.file: /etc/web.yml
  telemetry-path: >-
    /x
log: {level: debug}
",
            &[],
        )
        .unwrap();
        assert_eq!(flags.name, "n");
        assert_eq!((flags.url.as_str(), flags.batch), ("http://a: b", 0));
        let web = &flags.common.web;
        assert_eq!(web.listen, [":1", "127.0.0.1:2"]);
        assert!(web.systemd_socket && !web.disable_exporter_metrics);
        assert_eq!(web.config, Some(PathBuf::from("/etc/web.yml")));
        assert_eq!(web.telemetry_path, "/x");
        assert!(flags.file.file.is_some());
    }

    #[test]
    fn who_wins() {
        let url = |yaml: &str, arguments: &[&str]| read(yaml, arguments).unwrap().url;
        let name = "--name=n";
        assert_eq!(url("", &[name]), "http://localhost");
        assert_eq!(url("jolokia.url: x", &[name]), "x");
        assert_eq!(url("jolokia.url: x", &[name, "--jolokia.url=y"]), "y");
        assert_eq!(url("jolokia.url: x", &[name, "--jolokia.url", "y"]), "y");
        assert_eq!(url("jolokia.url: -x=--y", &[name]), "-x=--y");
        assert_eq!(url("jolokia.url: ''", &[name]), "");
        let listen = |arguments: &[&str]| {
            let yaml = "web.listen-address: [':1', ':2']\nweb.max-requests: 7";
            let web = read(yaml, arguments).unwrap().common.web;
            (web.listen, web.max_requests)
        };
        assert_eq!(listen(&[name]).0, [":1", ":2"]);
        assert_eq!(listen(&[name, "--web.listen-address=:3"]).0, [":3"]);
        assert_eq!(listen(&[name]).1, 7);
        let socket = read("web.systemd-socket: true", &[name, "--web.systemd-socket"]);
        assert!(socket.unwrap().common.web.systemd_socket);
        // cargo sets the variable.
        assert_eq!(read("package: other", &[name]).unwrap().package, "daemon");
        let flags = read("package: other", &[name, "--package=mine"]);
        assert_eq!(flags.unwrap().package, "mine");
    }

    #[test]
    fn nothing_in_it() {
        for yaml in ["", "# none\n", "---\n", "{}", "~", "web: {}\nlog: {}\n"] {
            assert_eq!(read(yaml, &["--name=n"]).unwrap().name, "n", "{yaml:?}");
        }
    }

    #[test]
    fn mistakes_have_their_line_and_key() {
        for (yaml, expect) in [
            (
                "jolokia.urll: x",
                "1: there is no flag jolokia.urll; did you mean jolokia.url?",
            ),
            (
                "\njolokai: {url: x}",
                "2: there is no flag jolokai.url; did you mean jolokia.url?",
            ),
            (
                "jolokia:\n  ulr: x",
                "2: there is no flag jolokia.ulr; did you mean jolokia.url?",
            ),
            (
                "something: x",
                "1: there is no flag something; --help lists them",
            ),
            (
                "jolokia: x",
                "1: there is no flag jolokia; --help lists them",
            ),
            (
                "<<: {name: x}",
                "1: there is no flag <<.name; --help lists them",
            ),
            ("config.file: x", "1: config.file cannot stand in a file"),
            ("config: {file: x}", "1: config.file cannot stand in a file"),
            ("help: true", "1: help cannot stand in a file"),
            ("version: true", "1: version cannot stand in a file"),
            ("name: a\nname: b", "2: name stands in line 1 already"),
            (
                "name: a\njolokia: {url: x}\njolokia.url: y",
                "3: jolokia.url stands in line 2 already",
            ),
            ("name: {a: b}", "1: name takes a value, not a mapping"),
            ("name: [a]", "1: name takes one value, not a list"),
            ("name: []", "1: name takes one value, not a list"),
            ("name:", "1: name has no value"),
            ("name: ~\n", "1: name has no value"),
            (
                "web.listen-address: [a,\n ~]",
                "2: web.listen-address has no value",
            ),
            (
                "web.listen-address: [[a]]",
                "1: the items of web.listen-address must be values",
            ),
            (
                "web.listen-address: [{a: b}]",
                "1: the items of web.listen-address must be values",
            ),
            (
                "web.systemd-socket: yes",
                "1: web.systemd-socket is true or false",
            ),
            (
                "web.systemd-socket: [true]",
                "1: web.systemd-socket is true or false",
            ),
            (
                "web.systemd-socket:",
                "1: web.systemd-socket is true or false",
            ),
            ("[a]", "1: the file must be a mapping from flags to values"),
            ("a", "1: the file must be a mapping from flags to values"),
            ("? [a]\n: b", "1: a key must be a word"),
            ("? {a: c}\n: b", "1: a key must be a word"),
            ("name: &a b\njolokia.url: *a", "2: aliases (*) are not read"),
            ("name: a\n---\nname: b", "2: a second document begins here"),
            (
                "name: a\njolokia:\n  batch: many",
                "3: jolokia.batch: invalid value 'many' for '--jolokia.batch <BATCH>': invalid digit found in string",
            ),
            (
                "log.level: loud",
                "1: log.level: invalid value 'loud' for '--log.level <LEVEL>'",
            ),
        ] {
            // Also when the command line gives the same.
            for arguments in [&["--name=n", "--jolokia.batch=1"][..], &[]] {
                let error = read(yaml, arguments).unwrap_err();
                let FlagsError::File { line, reason, .. } = &error else {
                    panic!("{yaml:?}: {error}");
                };
                let found = format!("{line}: {reason}");
                assert!(found.starts_with(expect), "{yaml:?}: {found}");
                let text = error.to_string();
                assert!(text.contains(&format!("flags.yml:{line}: ")) && text.lines().count() == 1);
            }
        }
        let error = read(&format!("{}: b", "é".repeat(500)), &[]).unwrap_err();
        assert!(error.to_string().ends_with("éé…; --help lists them"));
        let deep = "{a: ".repeat(100_000);
        for (yaml, expect) in [
            ("name: 'a", 1),
            ("name: a\n b: c", 2),
            ("a: }", 1),
            ("a:\n\t- b", 2),
            (deep.as_str(), 1),
        ] {
            let error = read(yaml, &["--name=n"]).unwrap_err();
            assert!(
                matches!(error, FlagsError::File { line, .. } if line == expect),
                "{error}"
            );
        }
    }

    #[test]
    fn files_that_cannot_be_read() {
        let check = |path: &str, expect: &str| {
            let words = ["x", "--config.file", path, "--name=n"];
            let error = parse_with_file::<Flags>(&PROGRAM, words.map(Into::into)).unwrap_err();
            let text = chain(&error).to_string();
            assert!(
                text.starts_with("cannot read the file ") && text.contains(expect),
                "{text}"
            );
        };
        check("/nonexistent", "No such file");
        check("/", "Is a directory");
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, expect) in [
            (
                "large",
                vec![b'#'; (1 << 20) + 1],
                "it has more than 1048576 bytes",
            ),
            ("binary", vec![0xff], "it is no text in UTF-8"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            check(&path.display().to_string(), expect);
        }
    }

    /// What is wrong with the command line stays clap's to say.
    #[test]
    fn command_lines() {
        for (yaml, arguments, expect) in [
            (
                "",
                &[][..],
                "the following required arguments were not provided:\n  --name <NAME>",
            ),
            ("name: n", &["--nam=x"], "unexpected argument '--nam' found"),
            ("nonsense: n", &["--version"], "test-exporter 1.2.3"),
            ("nonsense: n", &["--help"], "--config.file <FILE>"),
            (
                "",
                &["--config.file=x", "--name=n"],
                "cannot be used multiple times",
            ),
        ] {
            let error = read(yaml, arguments).unwrap_err();
            let FlagsError::CommandLine(error) = error else {
                panic!("{arguments:?}: {error}");
            };
            assert!(error.to_string().contains(expect), "{error}");
        }
        let without = ["x", "--name=n"].map(Into::into);
        assert!(parse_with_file::<Flags>(&PROGRAM, without).is_ok());
    }
}
