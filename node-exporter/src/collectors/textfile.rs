//! Metrics that others leave in `*.prom` files. A file with a mistake anywhere, or with time stamps, is left out whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use clap::{Arg, ArgAction};
use daemon::{CollectError, Collector, Scrape, chain};
use exposition::{Desc, Family, Kind, Value, parse};

use super::Entry;

pub(super) const ENTRY: Entry = Entry {
    name: "textfile",
    default: true,
    flags: |command| {
        command.arg(
            Arg::new(DIRECTORY)
                .long(DIRECTORY)
                .help("Folder of *.prom files; may be a glob, and may be given several times")
                .action(ArgAction::Append),
        )
    },
    make: |setup| {
        let folders = setup
            .matches
            .get_many::<String>(DIRECTORY)
            .unwrap_or_default();
        Ok(Box::new(Textfile {
            folders: folders.filter(|it| !it.is_empty()).cloned().collect(),
        }))
    },
    descs: &[MTIME, ERROR],
};

const DIRECTORY: &str = "collector.textfile.directory";
/// A larger file is no list of metrics.
const MAX_SIZE: u64 = 16 << 20;
/// More files than anybody has.
const MAX_FILES: usize = 4096;

const MTIME: Desc = Desc::new(
    "node_textfile_mtime_seconds",
    Kind::Gauge,
    "Unixtime mtime of textfiles successfully read.",
)
.labels(&["file"]);
const ERROR: Desc = Desc::new(
    "node_textfile_scrape_error",
    Kind::Gauge,
    "1 if there was an error opening or reading a file, 0 otherwise",
);

struct Textfile {
    folders: Vec<String>,
}

/// Why a file is left out.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read the file")]
    Read(#[from] std::io::Error),
    #[error("the file has more than {MAX_SIZE} bytes")]
    Size,
    #[error("the file is no text in UTF-8")]
    Text,
    #[error("the file is wrong")]
    Parse(#[from] parse::ParseError),
    #[error("{0} has a time stamp; Prometheus would take it for stale")]
    Timestamp(String),
}

impl Collector for Textfile {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut mtimes = Family::of(&MTIME);
        let mut failed = false;
        let (files, unreadable) = self.files();
        for (folder, error) in unreadable {
            tracing::error!(path = %folder.display(), %error, "cannot read the folder of text files");
            failed = true;
        }
        let mut merged = Merged::default();
        for path in files {
            match read(&path) {
                Ok((mtime, families)) => {
                    let name = path.display().to_string();
                    failed |= merged.add(&name, families);
                    mtimes.push(&[&name], mtime);
                }
                Err(error) => {
                    tracing::error!(file = %path.display(), error = %chain(&error), "text file left out");
                    failed = true;
                }
            }
        }
        out.extend(merged.families());
        out.push(mtimes);
        out.push(Family::single(&ERROR, if failed { 1.0 } else { 0.0 }));
        Ok(())
    }
}

impl Textfile {
    /// The files in the order in which they are read, and the folders that cannot be.
    fn files(&self) -> (Vec<PathBuf>, Vec<(PathBuf, std::io::Error)>) {
        let (mut files, mut unreadable) = (Vec::new(), Vec::new());
        for folder in self.folders.iter().flat_map(|it| expand(it)) {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    unreadable.push((folder, error));
                    continue;
                }
            };
            let found = entries.flatten().map(|it| it.path());
            let mut found: Vec<_> = found
                .filter(|it| it.extension().is_some_and(|it| it == "prom"))
                .take(MAX_FILES)
                .collect();
            found.sort();
            files.append(&mut found);
        }
        files.truncate(MAX_FILES);
        (files, unreadable)
    }
}

/// The folders that a glob means: `*` and `?` in any part of the path. What matches nothing is taken as it stands.
fn expand(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![PathBuf::from(pattern)];
    }
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') {
        "/"
    } else {
        ""
    })];
    for part in pattern.split('/').filter(|it| !it.is_empty()) {
        let mut next = Vec::new();
        for folder in found {
            if !part.contains(['*', '?', '[']) {
                next.push(folder.join(part));
                continue;
            }
            let at = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &folder
            };
            let entries = fs::read_dir(at).into_iter().flatten().flatten();
            let names = entries.filter(|it| {
                it.file_name()
                    .to_str()
                    .is_some_and(|it| matches(part.as_bytes(), it.as_bytes()))
            });
            next.extend(names.take(MAX_FILES).map(|it| folder.join(it.file_name())));
        }
        found = next;
    }
    found.retain(|it| it.exists());
    found.sort();
    if found.is_empty() {
        return vec![PathBuf::from(pattern)];
    }
    found
}

/// Go's `path.Match` for one part: `*`, `?`, `[a-z]`, `[^x]`, `\x`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=name.len()).any(|at| name.get(at..).is_some_and(|tail| matches(rest, tail)))
        }
        ([b'?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
        ([b'[', set @ ..], [first, tail @ ..]) => {
            let (negated, set) = match set {
                [b'^', set @ ..] => (true, set),
                set => (false, set),
            };
            let Some(end) = set.iter().position(|it| *it == b']') else {
                return false;
            };
            let (set, rest) = set.split_at(end);
            let mut inside = false;
            let mut at = set;
            while let [low, after @ ..] = at {
                at = after;
                let high = match at {
                    [b'-', high, after @ ..] => {
                        at = after;
                        high
                    }
                    _ => low,
                };
                inside |= (low..=high).contains(&first);
            }
            inside != negated && rest.get(1..).is_some_and(|rest| matches(rest, tail))
        }
        ([b'\\', literal, rest @ ..], [first, tail @ ..]) => {
            literal == first && matches(rest, tail)
        }
        ([literal, rest @ ..], [first, tail @ ..]) => literal == first && matches(rest, tail),
        _ => false,
    }
}

fn read(path: &Path) -> Result<(f64, Vec<Family>), FileError> {
    let file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|it| it > MAX_SIZE) {
        return Err(FileError::Size);
    }
    let text = String::from_utf8(bytes).map_err(|_error| FileError::Text)?;
    let families = parse::text(&text)?;
    let stamped = families
        .iter()
        .find(|it| it.metrics.iter().any(|it| it.timestamp().is_some()));
    if let Some(family) = stamped {
        return Err(FileError::Timestamp(family.name().to_owned()));
    }
    // Only after it was read well, so that a failure does not look fresh.
    let modified = file.metadata()?.modified()?;
    let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((age.as_secs_f64(), families))
}

/// What all files hold together.
#[derive(Default)]
struct Merged {
    families: BTreeMap<String, Vec<Family>>,
    files: BTreeMap<String, Vec<String>>,
    helps: BTreeMap<String, String>,
}

impl Merged {
    /// Adds a file's families; says whether one contradicts an earlier file's help text and was left out.
    fn add(&mut self, file: &str, families: Vec<Family>) -> bool {
        let mut contradicts = false;
        for family in families {
            let name = family.name().to_owned();
            let help = family.help();
            match self.helps.get(&name) {
                Some(first) if !help.is_empty() && first != help => {
                    tracing::error!(
                        metric = name,
                        file,
                        "the help text contradicts an earlier file's; left out"
                    );
                    contradicts = true;
                    continue;
                }
                None if !help.is_empty() => {
                    self.helps.insert(name.clone(), help.to_owned());
                }
                Some(_) | None => {}
            }
            self.files
                .entry(name.clone())
                .or_default()
                .push(file.to_owned());
            self.families.entry(name).or_default().push(family);
        }
        contradicts
    }

    /// The families with a help text each, and every metric of a family with the same set of labels.
    fn families(self) -> impl Iterator<Item = Family> {
        let (files, helps) = (self.files, self.helps);
        self.families
            .into_iter()
            .flat_map(move |(name, mut families)| {
                let help = helps.get(&name).cloned().unwrap_or_else(|| {
                    let files = files.get(&name).map(|it| it.join(", ")).unwrap_or_default();
                    format!("Metric read from {files}")
                });
                for family in &mut families {
                    family.set_help(help.clone());
                    pad(family);
                    add_sums(family);
                }
                families
            })
    }
}

/// Labels that only some metrics of a family have are empty in the others.
fn pad(family: &mut Family) {
    let names: BTreeSet<String> = family
        .metrics
        .iter()
        .flat_map(|it| it.labels.iter().map(|(name, _)| name.to_owned()))
        .collect();
    for metric in &mut family.metrics {
        for name in &names {
            if metric.labels.get(name).is_none() {
                // The name stood in another metric's labels: it is a label name.
                drop(metric.labels.set(name.clone(), ""));
            }
        }
    }
}

/// A sum that is missing is 0, as node_exporter writes it.
fn add_sums(family: &mut Family) {
    for metric in &mut family.metrics {
        let sum = match &mut metric.value {
            Value::Number(_) => continue,
            Value::Histogram(histogram) => &mut histogram.sum,
            Value::Summary(summary) => &mut summary.sum,
        };
        sum.get_or_insert(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use daemon::{Collector, Scrape};
    use exposition::{Format, gather, write};

    use super::{Textfile, expand, matches};

    fn check(files: &[(&str, &str)], expect: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let collector = Textfile {
            folders: vec![folder.path().display().to_string()],
        };
        let mut out = Vec::new();
        collector
            .collect(
                &Scrape {
                    deadline: Instant::now(),
                },
                &mut out,
            )
            .unwrap();
        let text = String::from_utf8(write(&gather(out).0, Format::Text)).unwrap();
        let text = text.replace(&format!("{}/", folder.path().display()), "");
        let lines = text.lines().filter(|it| {
            !it.contains("node_textfile_mtime_seconds")
                && !it.starts_with("# TYPE node_textfile")
                && !it.starts_with("# HELP node_textfile")
        });
        let found = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(found, expect, "{files:?}");
        let good = text.matches("node_textfile_mtime_seconds{").count();
        let bad = files
            .iter()
            .filter(|(name, text)| {
                name.ends_with(".prom") && (text.contains("bad") || text.contains("99999"))
            })
            .count();
        let all = files
            .iter()
            .filter(|(name, _)| name.ends_with(".prom"))
            .count();
        assert_eq!(good, all - bad, "{text}");
    }

    #[test]
    fn files() {
        let none = "node_textfile_scrape_error 0";
        check(&[], none);
        check(&[("a.txt", "bad"), ("b.prom", "")], none);
        check(
            &[("a.prom", "x 1\n"), ("b.prom", "x{l=\"m\"} 2\n")],
            "node_textfile_scrape_error 0\n# HELP x Metric read from a.prom, b.prom\n# TYPE x untyped\nx 1\nx{l=\"m\"} 2",
        );
        check(
            &[("a.prom", "x{a=\"1\"} 1\nx{b=\"2\"} 2\n")],
            "node_textfile_scrape_error 0\n# HELP x Metric read from a.prom\n# TYPE x untyped\nx{a=\"\",b=\"2\"} 2\nx{a=\"1\",b=\"\"} 1",
        );
        check(
            &[("a.prom", "x 1\nbad\n"), ("b.prom", "y 1\n")],
            "node_textfile_scrape_error 1\n# HELP y Metric read from b.prom\n# TYPE y untyped\ny 1",
        );
        check(
            &[("a.prom", "# TYPE x summary\nx_count 2\n")],
            "node_textfile_scrape_error 0\n# HELP x Metric read from a.prom\n# TYPE x summary\nx_sum 0\nx_count 2",
        );
        check(&[("a.prom", "x 1 99999\n")], "node_textfile_scrape_error 1");
        check(
            &[
                ("a.prom", "# HELP x One.\n# TYPE x gauge\nx 1\n"),
                ("b.prom", "# HELP x Two.\n# TYPE x gauge\nx{l=\"m\"} 2\n"),
            ],
            "node_textfile_scrape_error 1\n# HELP x One.\n# TYPE x gauge\nx 1",
        );
        check(
            &[(
                "a.prom",
                "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n",
            )],
            "# HELP h Metric read from a.prom\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\nnode_textfile_scrape_error 0",
        );
    }

    #[test]
    fn a_missing_folder_is_an_error_and_no_folder_is_none() {
        for (folders, expect) in [(vec![], 0.0), (vec!["/nonexistent".to_owned()], 1.0)] {
            let mut out = Vec::new();
            Textfile { folders }
                .collect(
                    &Scrape {
                        deadline: Instant::now(),
                    },
                    &mut out,
                )
                .unwrap();
            assert_eq!(out.last().unwrap().number(&[]), Some(expect));
        }
    }

    #[test]
    fn globs() {
        for (pattern, name, expect) in [
            ("*", "abc", true),
            ("a*c", "abc", true),
            ("a*d", "abc", false),
            ("a?c", "abc", true),
            ("[a-c]bc", "abc", true),
            ("[^a]bc", "abc", false),
            ("[ab", "a", false),
            ("\\*", "*", true),
            ("", "", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expect,
                "{pattern} {name}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["a1", "a2", "b1"] {
            fs::create_dir_all(folder.path().join(name).join("in")).unwrap();
        }
        let root = folder.path().display();
        assert_eq!(
            expand(&format!("{root}/a*/in")),
            [folder.path().join("a1/in"), folder.path().join("a2/in")]
        );
        assert_eq!(expand(&format!("{root}/z*")), [folder.path().join("z*")]);
    }
}
