//! Silences of an Alertmanager that was here before: its file `silences` in the storage folder, taken once, when there is nothing of
//! ours there yet.
//!
//! The file is a row of `MeshSilence` messages, each behind its length (Alertmanager 0.34, `silence/silencepb/silence.proto`; the
//! fields that are read here are as they were in 0.15). What people were told (`nflog`) is not taken: it names alerts by hashes
//! that cannot be turned back, so that what fires is told once more.

use std::{collections::BTreeMap, fs, io, path::Path};

use jiff::Timestamp;
use prost::Message;

use crate::{
    core::silence::{Silence, SilenceId},
    matcher::{Matcher, Operator},
};

/// A longer file is none of Alertmanager's.
const MOST: u64 = 256 << 20;

#[derive(Clone, PartialEq, Message)]
struct MeshSilence {
    #[prost(message, optional, tag = "1")]
    silence: Option<Written>,
}

#[derive(Clone, PartialEq, Message)]
struct Written {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, repeated, tag = "2")]
    matchers: Vec<WrittenMatcher>,
    #[prost(message, optional, tag = "3")]
    starts_at: Option<Time>,
    #[prost(message, optional, tag = "4")]
    ends_at: Option<Time>,
    #[prost(message, optional, tag = "5")]
    updated_at: Option<Time>,
    #[prost(message, repeated, tag = "7")]
    comments: Vec<Comment>,
    #[prost(string, tag = "8")]
    created_by: String,
    #[prost(string, tag = "9")]
    comment: String,
    #[prost(btree_map = "string, string", tag = "10")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "11")]
    matcher_sets: Vec<MatcherSet>,
    #[prost(message, repeated, tag = "12")]
    receiver_matcher_sets: Vec<MatcherSet>,
}

#[derive(Clone, PartialEq, Message)]
struct MatcherSet {
    #[prost(message, repeated, tag = "1")]
    matchers: Vec<WrittenMatcher>,
}

#[derive(Clone, PartialEq, Message)]
struct WrittenMatcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    pattern: String,
}

#[derive(Clone, PartialEq, Message)]
struct Comment {
    #[prost(string, tag = "1")]
    author: String,
    #[prost(string, tag = "2")]
    comment: String,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) silences: Vec<Silence>,
    /// What could not be taken, and why.
    pub(crate) complaints: Vec<String>,
}

/// The silences in a storage folder of Alertmanager; none where there is no such file.
///
/// # Errors
/// When there is one that cannot be read.
pub(crate) fn silences(folder: &Path) -> io::Result<Found> {
    let path = folder.join("silences");
    let length = match fs::metadata(&path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Ok(Found::default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(error),
    };
    if length > MOST {
        return Err(io::Error::other(format!("it has more than {MOST} bytes")));
    }
    Ok(parse(&fs::read(&path)?))
}

/// As far as it can be read.
pub(crate) fn parse(mut rest: &[u8]) -> Found {
    let mut found = Found::default();
    while !rest.is_empty() {
        let written = match MeshSilence::decode_length_delimited(&mut rest) {
            Ok(MeshSilence { silence: Some(it) }) => it,
            Ok(MeshSilence { silence: None }) => continue,
            Err(error) => {
                found
                    .complaints
                    .push(format!("the rest of the file: {error}"));
                break;
            }
        };
        let id = written.id.clone();
        match silence(written) {
            Ok(silence) => found.silences.push(silence),
            Err(reason) => found.complaints.push(format!("{id}: {reason}")),
        }
    }
    found
}

fn silence(written: Written) -> Result<Silence, String> {
    let id: SilenceId = written.id.parse().map_err(|()| "its id is no UUID")?;
    if !written.receiver_matcher_sets.is_empty() {
        return Err("it is for some receivers only".to_owned());
    }
    let mut sets = written.matcher_sets;
    let matchers = match (sets.len(), sets.pop()) {
        (1, Some(set)) => set.matchers,
        (0, _) => written.matchers,
        _ => return Err("it has several sets of matchers".to_owned()),
    };
    let matchers: Result<Vec<_>, String> = matchers.into_iter().map(matcher).collect();
    let time = |time: Option<Time>| {
        let time = time.ok_or("a time is missing")?;
        Timestamp::new(time.seconds, time.nanos).map_err(|error| error.to_string())
    };
    let mut silence = Silence {
        id,
        matchers: matchers?,
        starts_at: time(written.starts_at)?,
        ends_at: time(written.ends_at)?,
        updated_at: time(written.updated_at)?,
        created_by: written.created_by,
        comment: written.comment,
        annotations: written.annotations,
    };
    if silence.matchers.is_empty() {
        return Err("it has no matchers".to_owned());
    }
    // As it was before 0.16.
    if let Some(first) = written.comments.into_iter().next()
        && silence.comment.is_empty()
    {
        (silence.created_by, silence.comment) = (first.author, first.comment);
    }
    Ok(silence)
}

fn matcher(written: WrittenMatcher) -> Result<Matcher, String> {
    let operator = match written.kind {
        0 => Operator::Equal,
        1 => Operator::Regex,
        2 => Operator::NotEqual,
        3 => Operator::NotRegex,
        other => return Err(format!("{other} is no kind of matcher")),
    };
    Matcher::new(written.name, operator, written.pattern).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// Written by Alertmanager 0.34.1, and by 0.25 as Debian 12 has it.
    #[test]
    fn files_of_alertmanager() {
        for (file, complaint) in [
            (
                include_bytes!("../tests/alertmanager/silences-0.34").as_slice(),
                "",
            ),
            (include_bytes!("../tests/alertmanager/silences-0.25"), ""),
        ] {
            let found = parse(file);
            assert_eq!(found.complaints.join(" "), complaint);
            let mut shown: Vec<_> = found
                .silences
                .iter()
                .map(|it| {
                    let matchers: Vec<_> = it.matchers.iter().map(ToString::to_string).collect();
                    format!("{} {} {}", it.created_by, it.comment, matchers.join(","))
                })
                .collect();
            shown.sort();
            assert_eq!(
                shown,
                [
                    r#"ann new disk instance=~"node-.*",severity!="page""#,
                    r#"ben it is known alertname="Disk full",team!~"a|b""#,
                ]
            );
            // Cut anywhere, it gives what is whole.
            for length in 0..file.len() {
                let cut = parse(&file[..length]);
                assert!(cut.silences.len() < 2, "{length}");
            }
        }
    }

    #[test]
    fn what_cannot_be_taken() {
        for (bytes, complaint) in [
            (b"\x05\x0a\x03\x0a\x01a".as_slice(), "a: its id is no UUID"),
            (b"\xff\xff\xff\xff\x0f", "the rest of the file"),
            (b"garbage", "the rest of the file"),
        ] {
            let found = parse(bytes);
            assert!(found.silences.is_empty());
            let said = found.complaints.join(" ");
            assert!(said.contains(complaint), "{said}");
        }
    }
}
