//! What must survive a crash, as bytes: each record says how something is, not how it changed, so that reading one twice, or a later
//! one after a snapshot that has it already, does no harm.
//!
//! A frame is the length of its payload and the CRC-32 of it, four bytes each, little-endian, and the payload: a byte for its kind,
//! and fields. A group stands there by its key and an integration by its receiver, kind and number, so that they are found again
//! under another configuration.

use jiff::Timestamp;

use super::{
    Memory,
    dedup::{Owed, Told},
    silence::{Silence, SilenceId},
};
use crate::{
    alert::{
        Fingerprint, Life,
        packed::{Packed, put_number, put_text, take_number, take_text},
    },
    matcher::{Matcher, Operator},
};

/// What stands before a payload.
pub(crate) const HEAD: usize = 8;
/// A longer frame was not written by us.
pub(crate) const MAX_FRAME: usize = 64 << 20;

/// An integration, whatever configuration it stands in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IntegrationKey {
    pub(crate) receiver: String,
    pub(crate) name: String,
    pub(crate) index: usize,
}

/// What is written, borrowed.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// The clock when what follows was written.
    Now(Timestamp),
    Alert {
        life: Life,
        texts: &'a Packed,
    },
    /// An alert of which only the times changed.
    Life {
        fingerprint: Fingerprint,
        life: Life,
    },
    Silence(&'a Silence),
    SilenceGone(SilenceId),
    /// People were told.
    Told {
        group: &'a str,
        integration: &'a IntegrationKey,
        told: &'a Told,
    },
    /// People are about to be told.
    Intent {
        group: &'a str,
        integration: &'a IntegrationKey,
        owed: &'a Owed,
        memory: &'a Memory,
    },
    /// The intent is given up: the receiver refuses it.
    Refused {
        group: &'a str,
        integration: &'a IntegrationKey,
    },
    /// A group is over, and what was told of it is forgotten.
    GroupGone(&'a str),
    Heartbeat {
        name: &'a str,
        seen: Timestamp,
    },
    /// The last record of a snapshot.
    End,
}

/// What is read, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Restored {
    Now(Timestamp),
    Alert {
        life: Life,
        texts: Packed,
    },
    Life {
        fingerprint: Fingerprint,
        life: Life,
    },
    Silence(Box<Silence>),
    SilenceGone(SilenceId),
    Told {
        group: String,
        integration: IntegrationKey,
        told: Told,
    },
    Intent {
        group: String,
        integration: IntegrationKey,
        owed: Owed,
        memory: Memory,
    },
    Refused {
        group: String,
        integration: IntegrationKey,
    },
    GroupGone(String),
    Heartbeat {
        name: String,
        seen: Timestamp,
    },
    End,
}

impl Record<'_> {
    /// Appends the record in its frame.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD]);
        self.payload(out);
        let (head, payload) = out.split_at_mut(start + HEAD);
        let head = head.get_mut(start..).unwrap_or_default();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let (first, second) = head.split_at_mut(4);
        first.copy_from_slice(&length.to_le_bytes());
        second.copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    }

    fn payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Now(now) => {
                out.push(1);
                put_time(out, *now);
            }
            Self::Alert { life, texts } => {
                out.push(2);
                put_life(out, life);
                texts.write(out);
            }
            Self::Life { fingerprint, life } => {
                out.push(3);
                out.extend_from_slice(&fingerprint.number().to_le_bytes());
                put_life(out, life);
            }
            Self::Silence(silence) => {
                out.push(4);
                put_silence(out, silence);
            }
            Self::SilenceGone(id) => {
                out.push(5);
                out.extend_from_slice(&id.bytes());
            }
            Self::Told {
                group,
                integration,
                told,
            } => {
                out.push(6);
                put_line(out, group, integration);
                put_time(out, told.at);
                put_fingerprints(out, &told.firing);
                put_fingerprints(out, &told.resolved);
                put_memory(out, &told.memory);
            }
            Self::Intent {
                group,
                integration,
                owed,
                memory,
            } => {
                out.push(7);
                put_line(out, group, integration);
                put_fingerprints(out, &owed.firing);
                put_fingerprints(out, &owed.resolved);
                put_memory(out, memory);
            }
            Self::Refused { group, integration } => {
                out.push(8);
                put_line(out, group, integration);
            }
            Self::GroupGone(group) => {
                out.push(9);
                put_text(out, group);
            }
            Self::Heartbeat { name, seen } => {
                out.push(10);
                put_text(out, name);
                put_time(out, *seen);
            }
            Self::End => out.push(11),
        }
    }
}

impl Restored {
    /// Reads a payload; None when it is none, or of a later version.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (&kind, mut rest) = payload.split_first()?;
        let bytes = &mut rest;
        let record = match kind {
            1 => Self::Now(take_time(bytes)?),
            2 => {
                let life = take_life(bytes)?;
                let texts = Packed::read(bytes)?;
                *bytes = &[];
                Self::Alert { life, texts }
            }
            3 => Self::Life {
                fingerprint: take_fingerprint(bytes)?,
                life: take_life(bytes)?,
            },
            4 => Self::Silence(Box::new(take_silence(bytes)?)),
            5 => Self::SilenceGone(take_id(bytes)?),
            6 => {
                let (group, integration) = take_line(bytes)?;
                Self::Told {
                    group,
                    integration,
                    told: Told {
                        at: take_time(bytes)?,
                        firing: take_fingerprints(bytes)?,
                        resolved: take_fingerprints(bytes)?,
                        memory: take_memory(bytes)?,
                    },
                }
            }
            7 => {
                let (group, integration) = take_line(bytes)?;
                Self::Intent {
                    group,
                    integration,
                    owed: Owed {
                        firing: take_fingerprints(bytes)?,
                        resolved: take_fingerprints(bytes)?,
                    },
                    memory: take_memory(bytes)?,
                }
            }
            8 => {
                let (group, integration) = take_line(bytes)?;
                Self::Refused { group, integration }
            }
            9 => Self::GroupGone(take_text(bytes)?.to_owned()),
            10 => Self::Heartbeat {
                name: take_text(bytes)?.to_owned(),
                seen: take_time(bytes)?,
            },
            11 => Self::End,
            _ => return None,
        };
        bytes.is_empty().then_some(record)
    }

    /// The group and the receiver of what is about a line of a group.
    pub(super) fn line(&self) -> Option<(&str, &str)> {
        match self {
            Self::Told {
                group, integration, ..
            }
            | Self::Intent {
                group, integration, ..
            }
            | Self::Refused { group, integration } => Some((group, &integration.receiver)),
            _ => None,
        }
    }

    /// The same of a line of another group.
    pub(super) fn of_group(mut self, key: String) -> Self {
        if let Self::Told { group, .. } | Self::Intent { group, .. } | Self::Refused { group, .. } =
            &mut self
        {
            *group = key;
        }
        self
    }
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_second().to_le_bytes());
    out.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn take_time(bytes: &mut &[u8]) -> Option<Timestamp> {
    let second = i64::from_le_bytes(take(bytes)?);
    Timestamp::new(second, i32::from_le_bytes(take(bytes)?)).ok()
}

fn put_life(out: &mut Vec<u8>, life: &Life) {
    put_time(out, life.starts_at);
    put_time(out, life.ends_at);
    put_time(out, life.updated_at);
    out.push(u8::from(life.timeout));
}

fn take_life(bytes: &mut &[u8]) -> Option<Life> {
    Some(Life {
        starts_at: take_time(bytes)?,
        ends_at: take_time(bytes)?,
        updated_at: take_time(bytes)?,
        timeout: take::<1>(bytes)? != [0],
    })
}

fn take_fingerprint(bytes: &mut &[u8]) -> Option<Fingerprint> {
    Some(Fingerprint::from_number(u64::from_le_bytes(take(bytes)?)))
}

fn put_fingerprints(out: &mut Vec<u8>, fingerprints: &[Fingerprint]) {
    put_number(out, fingerprints.len());
    for fingerprint in fingerprints {
        out.extend_from_slice(&fingerprint.number().to_le_bytes());
    }
}

fn take_fingerprints(bytes: &mut &[u8]) -> Option<Vec<Fingerprint>> {
    let count = take_number(bytes)?;
    (count <= bytes.len() / 8).then_some(())?;
    (0..count).map(|_| take_fingerprint(bytes)).collect()
}

fn put_line(out: &mut Vec<u8>, group: &str, integration: &IntegrationKey) {
    put_text(out, group);
    put_text(out, &integration.receiver);
    put_text(out, &integration.name);
    put_number(out, integration.index);
}

fn take_line(bytes: &mut &[u8]) -> Option<(String, IntegrationKey)> {
    let group = take_text(bytes)?.to_owned();
    let integration = IntegrationKey {
        receiver: take_text(bytes)?.to_owned(),
        name: take_text(bytes)?.to_owned(),
        index: take_number(bytes)?,
    };
    Some((group, integration))
}

fn put_memory(out: &mut Vec<u8>, memory: &Memory) {
    put_number(out, memory.len());
    for (name, value) in memory {
        put_text(out, name);
        put_text(out, value);
    }
}

fn take_memory(bytes: &mut &[u8]) -> Option<Memory> {
    let count = take_number(bytes)?;
    let mut memory = Memory::new();
    for _ in 0..count {
        memory.insert(take_text(bytes)?.to_owned(), take_text(bytes)?.to_owned());
    }
    Some(memory)
}

fn put_silence(out: &mut Vec<u8>, silence: &Silence) {
    out.extend_from_slice(&silence.id.bytes());
    put_time(out, silence.starts_at);
    put_time(out, silence.ends_at);
    put_time(out, silence.updated_at);
    put_text(out, &silence.created_by);
    put_text(out, &silence.comment);
    put_memory(out, &silence.annotations);
    put_number(out, silence.matchers.len());
    for matcher in &silence.matchers {
        put_text(out, &matcher.name);
        out.push(match matcher.operator {
            Operator::Equal => 0,
            Operator::NotEqual => 1,
            Operator::Regex => 2,
            Operator::NotRegex => 3,
        });
        put_text(out, &matcher.value);
    }
}

fn take_id(bytes: &mut &[u8]) -> Option<SilenceId> {
    Some(SilenceId::from_bytes(take(bytes)?))
}

fn take_silence(bytes: &mut &[u8]) -> Option<Silence> {
    let id = take_id(bytes)?;
    let (starts_at, ends_at, updated_at) =
        (take_time(bytes)?, take_time(bytes)?, take_time(bytes)?);
    let created_by = take_text(bytes)?.to_owned();
    let comment = take_text(bytes)?.to_owned();
    let annotations = take_memory(bytes)?;
    let count = take_number(bytes)?;
    let mut matchers = Vec::new();
    for _ in 0..count {
        let name = take_text(bytes)?;
        let operator = match take::<1>(bytes)? {
            [0] => Operator::Equal,
            [1] => Operator::NotEqual,
            [2] => Operator::Regex,
            [3] => Operator::NotRegex,
            _ => return None,
        };
        matchers.push(Matcher::new(name, operator, take_text(bytes)?).ok()?);
    }
    Some(Silence {
        id,
        matchers,
        starts_at,
        ends_at,
        updated_at,
        created_by,
        comment,
        annotations,
    })
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole one: its payload.
    Good(&'a [u8]),
    /// The start of one.
    Cut,
    /// None.
    Bad,
}

/// Looks at the start of some bytes.
pub(crate) fn frame(bytes: &[u8]) -> Frame<'_> {
    let mut rest = bytes;
    let (Some(length), Some(crc)) = (take::<4>(&mut rest), take::<4>(&mut rest)) else {
        return Frame::Cut;
    };
    let length = u32::from_le_bytes(length) as usize;
    if !(1..=MAX_FRAME).contains(&length) {
        return Frame::Bad;
    }
    match rest.get(..length) {
        None => Frame::Cut,
        Some(payload) if crc32fast::hash(payload) == u32::from_le_bytes(crc) => {
            Frame::Good(payload)
        }
        Some(_) => Frame::Bad,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Frame, HEAD, IntegrationKey, Record, Restored, frame};
    use crate::{
        alert::{Fingerprint, Life, Pairs, packed::Packed},
        core::{
            dedup::{Owed, Told},
            silence::{Silence, SilenceId},
        },
        matcher::Matcher,
    };

    fn read(record: &Record<'_>) -> Restored {
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        let Frame::Good(payload) = frame(&bytes) else {
            panic!("{record:?}: {bytes:?}");
        };
        assert_eq!(payload.len() + HEAD, bytes.len());
        // No part of it is whole, and no part of a payload is read as another record.
        for end in 0..bytes.len() {
            assert_eq!(frame(&bytes[..end]), Frame::Cut, "{end}");
        }
        for end in 0..payload.len() {
            assert_eq!(Restored::read(&payload[..end]), None, "{record:?} {end}");
        }
        // A bit that fell over is noticed.
        for at in 4..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(frame(&wrong), Frame::Bad, "{at}");
        }
        Restored::read(payload).unwrap()
    }

    #[test]
    fn there_and_back() {
        let at = |second| Timestamp::new(second, 5).unwrap();
        let pairs = Pairs::from([("a".to_owned(), "b".to_owned())]);
        let texts = Packed::of(&pairs, &pairs, "http://x");
        let life = Life {
            starts_at: at(1),
            ends_at: at(2),
            updated_at: at(3),
            timeout: true,
        };
        let fingerprint = texts.fingerprint();
        let integration = IntegrationKey {
            receiver: "team".to_owned(),
            name: "slack".to_owned(),
            index: 3,
        };
        let told = Told {
            at: at(4),
            firing: vec![Fingerprint::from_number(1), fingerprint],
            resolved: vec![],
            memory: pairs.clone(),
        };
        let owed = Owed {
            firing: told.firing.clone(),
            resolved: vec![Fingerprint::from_number(9)],
        };
        let silence = Silence {
            id: SilenceId::random([7; 16]),
            matchers: Matcher::parse_all("a=b,c!=d,e=~\"f|g\",h!~i").unwrap(),
            starts_at: at(1),
            ends_at: at(2),
            updated_at: at(3),
            created_by: "me".to_owned(),
            comment: "straße".to_owned(),
            annotations: pairs.clone(),
        };
        let group = "{}:{a=\"b\"}".to_owned();
        for (record, expect) in [
            (Record::Now(at(-5)), Restored::Now(at(-5))),
            (
                Record::Life { fingerprint, life },
                Restored::Life { fingerprint, life },
            ),
            (
                Record::Silence(&silence),
                Restored::Silence(Box::new(silence.clone())),
            ),
            (
                Record::SilenceGone(silence.id),
                Restored::SilenceGone(silence.id),
            ),
            (
                Record::Told {
                    group: &group,
                    integration: &integration,
                    told: &told,
                },
                Restored::Told {
                    group: group.clone(),
                    integration: integration.clone(),
                    told: told.clone(),
                },
            ),
            (
                Record::Intent {
                    group: &group,
                    integration: &integration,
                    owed: &owed,
                    memory: &pairs,
                },
                Restored::Intent {
                    group: group.clone(),
                    integration: integration.clone(),
                    owed: owed.clone(),
                    memory: pairs.clone(),
                },
            ),
            (
                Record::Refused {
                    group: &group,
                    integration: &integration,
                },
                Restored::Refused {
                    group: group.clone(),
                    integration: integration.clone(),
                },
            ),
            (
                Record::GroupGone(&group),
                Restored::GroupGone(group.clone()),
            ),
            (
                Record::Heartbeat {
                    name: "w",
                    seen: at(9),
                },
                Restored::Heartbeat {
                    name: "w".to_owned(),
                    seen: at(9),
                },
            ),
            (Record::End, Restored::End),
            (
                Record::Alert {
                    life,
                    texts: &texts,
                },
                Restored::Alert {
                    life,
                    texts: texts.clone(),
                },
            ),
        ] {
            assert_eq!(read(&record), expect);
        }
        // One of a later version.
        assert_eq!(Restored::read(&[99, 1, 2]), None);
        assert_eq!(frame(&[0; 64]), Frame::Bad);
    }
}
