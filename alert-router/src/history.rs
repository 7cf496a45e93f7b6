//! What happened, on disk, for people who ask later: who was told what and when, which alerts began and ended, what was silenced. Lines
//! of JSON in files of some megabytes; files that are too old are taken away. It is no promise: a line that finds no room is counted
//! and lost.

use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use crate::alert::after;

/// A file is not written to beyond that.
const MAX_FILE: u64 = 8 << 20;
/// Older files are taken away when there are more.
const MAX_FILES: usize = 64;
/// A longer line is none of ours.
const MAX_LINE: usize = 1 << 20;

/// The files, for writing.
#[derive(Debug)]
pub(crate) struct History {
    folder: PathBuf,
    retention: Duration,
    number: u64,
    file: Option<fs::File>,
    length: u64,
    pub(crate) lost: u64,
}

/// What somebody wants to know.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query {
    pub(crate) kind: Option<String>,
    pub(crate) receiver: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) alertname: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) limit: usize,
}

fn name(number: u64) -> String {
    format!("history-{number:08}.jsonl")
}

/// The numbers of the files that are there.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|it| {
            let number = it.strip_prefix("history-")?.strip_suffix(".jsonl")?;
            number.parse::<u64>().ok()
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl History {
    pub(crate) fn open(folder: &Path, retention: Duration) -> Self {
        let last = numbers(folder).ok().and_then(|it| it.last().copied());
        Self {
            folder: folder.to_owned(),
            retention,
            // What a crash has torn stays behind.
            number: last.unwrap_or(0),
            file: None,
            length: MAX_FILE,
            lost: 0,
        }
    }

    /// Appends whole lines.
    pub(crate) fn append(&mut self, lines: &[u8], count: u64, now: Timestamp) {
        if lines.is_empty() {
            return;
        }
        if let Err(error) = self.write(lines, now) {
            if self.lost == 0 {
                tracing::warn!(%error, "cannot write the history; it will have gaps");
            }
            self.lost += count;
        }
    }

    fn write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        if self.file.is_none() || self.length >= MAX_FILE {
            self.number += 1;
            self.file = None;
            self.file = Some(fs::File::create(self.folder.join(name(self.number)))?);
            self.length = 0;
            self.drop_old(now)?;
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let written = file.write_all(lines);
        if written.is_err() {
            // No half line before the next one.
            file.set_len(self.length)?;
            file.seek(SeekFrom::Start(self.length))?;
        } else {
            self.length += u64::try_from(lines.len()).unwrap_or(0);
        }
        written
    }

    fn drop_old(&self, now: Timestamp) -> io::Result<()> {
        let numbers = numbers(&self.folder)?;
        let too_many = numbers.len().saturating_sub(MAX_FILES);
        for (at, number) in numbers.iter().enumerate() {
            let path = self.folder.join(name(*number));
            let last = fs::metadata(&path)?.modified()?;
            let last = Timestamp::try_from(last).unwrap_or(now);
            if *number != self.number && (at < too_many || after(last, self.retention) < now) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Lines that fit, newest first.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn query(folder: &Path, query: &Query) -> io::Result<Vec<Value>> {
    let mut found = Vec::new();
    for number in numbers(folder)?.into_iter().rev() {
        let path = folder.join(name(number));
        let mut text = Vec::new();
        match fs::File::open(&path) {
            Ok(file) => file.take(MAX_FILE * 2).read_to_end(&mut text)?,
            // It was too old just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let lines = text.split(|it| *it == b'\n').rev();
        for line in lines.filter(|it| !it.is_empty() && it.len() <= MAX_LINE) {
            let Ok(value) = serde_json::from_slice::<Value>(line) else {
                continue;
            };
            if query.is_before(&value) {
                return Ok(found);
            }
            if query.fits(&value) {
                found.push(value);
                if found.len() >= query.limit {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

impl Query {
    fn time(value: &Value) -> Option<Timestamp> {
        value.get("time")?.as_str()?.parse().ok()
    }

    /// Whether this and all before it are too old.
    fn is_before(&self, value: &Value) -> bool {
        let time = Self::time(value);
        self.since
            .is_some_and(|since| time.is_some_and(|it| it < since))
    }

    fn fits(&self, value: &Value) -> bool {
        let is = |wanted: &Option<String>, key: &str| {
            let found = value.get(key).and_then(Value::as_str);
            wanted.as_deref().is_none_or(|it| found == Some(it))
        };
        let alerts = || {
            value
                .get("alerts")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let has_fingerprint = |wanted: &str| {
            alerts().any(|it| it.get("fingerprint").and_then(Value::as_str) == Some(wanted))
        };
        let has_name = |wanted: &str| {
            alerts().any(|it| {
                let name = it.get("labels").and_then(|it| it.get("alertname"));
                name.and_then(Value::as_str) == Some(wanted)
            })
        };
        is(&self.kind, "kind")
            && is(&self.receiver, "receiver")
            && self.fingerprint.as_deref().is_none_or(has_fingerprint)
            && self.alertname.as_deref().is_none_or(has_name)
            && self
                .until
                .is_none_or(|until| Self::time(value).is_some_and(|it| it <= until))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::{History, Query, query};

    fn line(second: i64, receiver: &str, fingerprint: &str) -> String {
        let time = jiff::Timestamp::from_second(second).unwrap();
        format!(
            "{{\"time\":\"{time}\",\"kind\":\"notification\",\"receiver\":\"{receiver}\",\"alerts\":[{{\"fingerprint\":\"{fingerprint}\",\"labels\":{{\"alertname\":\"{fingerprint}\"}}}}]}}\n"
        )
    }

    #[test]
    fn written_and_asked() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        let now = jiff::Timestamp::UNIX_EPOCH;
        for round in 0..3 {
            let mut history = History::open(folder.path(), day * 365_000);
            for step in 0..4 {
                let second = round * 4 + step;
                let receiver = if second % 2 == 0 { "a" } else { "b" };
                let line = line(second, receiver, &format!("f{second}"));
                history.append(line.as_bytes(), 1, now);
            }
            // A crash in the middle of a line.
            history.append(b"{\"time\":\"19", 1, now);
            assert_eq!(history.lost, 0);
        }
        let ask = |it: Query| -> Vec<String> {
            let limit = if it.limit == 0 { 100 } else { it.limit };
            let found = query(folder.path(), &Query { limit, ..it }).unwrap();
            let name = |it: &Value| it["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
            found.iter().map(name).collect()
        };
        let text = |it: &str| Some(it.to_owned());
        let at = |second| jiff::Timestamp::from_second(second).ok();
        for (wanted, expect) in [
            (
                Query {
                    limit: 2,
                    ..Query::default()
                },
                "f11 f10",
            ),
            (
                Query {
                    receiver: text("a"),
                    limit: 2,
                    ..Query::default()
                },
                "f10 f8",
            ),
            (
                Query {
                    fingerprint: text("f3"),
                    ..Query::default()
                },
                "f3",
            ),
            (
                Query {
                    alertname: text("f5"),
                    ..Query::default()
                },
                "f5",
            ),
            (
                Query {
                    kind: text("state"),
                    ..Query::default()
                },
                "",
            ),
            (
                Query {
                    since: at(9),
                    ..Query::default()
                },
                "f11 f10 f9",
            ),
            (
                Query {
                    until: at(1),
                    ..Query::default()
                },
                "f1 f0",
            ),
        ] {
            assert_eq!(ask(wanted.clone()).join(" "), expect, "{wanted:?}");
        }
    }
}
