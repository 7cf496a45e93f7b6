//! The texts of an alert in one piece of memory: labels, annotations and where it comes from. So it is made when a body is read, so
//! it stands in the journal, and so it is held: 100,000 alerts are 100,000 allocations and not ten times as many.
//!
//! Numbers are LEB128; a text is its length and its bytes: the count of labels, each name and value, the same of annotations, and
//! the URL. Labels and annotations are sorted by name, each name once.

use std::fmt;

use super::{Fingerprint, Labels, Pairs};

/// The texts of an alert.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs texts; names must be sorted, each once.
    pub(crate) fn new<'a, L, A>(labels: L, annotations: A, generator_url: &str) -> Self
    where
        L: IntoIterator<Item = (&'a str, &'a str), IntoIter: ExactSizeIterator>,
        A: IntoIterator<Item = (&'a str, &'a str), IntoIter: ExactSizeIterator>,
    {
        let mut bytes = Vec::with_capacity(512);
        put_pairs(&mut bytes, labels.into_iter());
        put_pairs(&mut bytes, annotations.into_iter());
        put_text(&mut bytes, generator_url);
        Self(bytes.into_boxed_slice())
    }

    pub(crate) fn of(labels: &Pairs, annotations: &Pairs, generator_url: &str) -> Self {
        Self::new(views(labels), views(annotations), generator_url)
    }

    /// Reads what [`Packed::bytes`] gave; None when it is no such thing.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        for _ in 0..2 {
            let count = take_number(&mut rest)?;
            for _ in 0..count.checked_mul(2)? {
                take_text(&mut rest)?;
            }
        }
        take_text(&mut rest)?;
        rest.is_empty().then(|| Self(bytes.into()))
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn labels(&self) -> PairsOf<'_> {
        PairsOf::start(&self.0)
    }

    pub(crate) fn annotations(&self) -> PairsOf<'_> {
        let mut labels = self.labels();
        labels.by_ref().for_each(drop);
        PairsOf::start(labels.rest)
    }

    pub(crate) fn generator_url(&self) -> &str {
        let mut annotations = self.annotations();
        annotations.by_ref().for_each(drop);
        take_text(&mut annotations.rest).unwrap_or("")
    }

    /// FNV-1a over the sorted labels (see [`Fingerprint::of`]).
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_sorted(self.labels())
    }
}

impl Labels for Packed {
    fn value(&self, name: &str) -> Option<&str> {
        self.labels().find(|it| it.0 == name).map(|it| it.1)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.labels()).finish()
    }
}

fn views(pairs: &Pairs) -> impl ExactSizeIterator<Item = (&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Names and values, in their order.
#[derive(Clone)]
pub(crate) struct PairsOf<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> PairsOf<'a> {
    fn start(bytes: &'a [u8]) -> Self {
        let mut rest = bytes;
        let left = take_number(&mut rest).unwrap_or(0);
        Self { left, rest }
    }

    pub(crate) fn to_pairs(&self) -> Pairs {
        self.clone()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl<'a> Iterator for PairsOf<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((take_text(&mut self.rest)?, take_text(&mut self.rest)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for PairsOf<'_> {}

fn put_pairs<'a>(bytes: &mut Vec<u8>, pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) {
    put_number(bytes, pairs.len());
    for (name, value) in pairs {
        put_text(bytes, name);
        put_text(bytes, value);
    }
}

/// Appends a number, seven bits a byte.
pub(crate) fn put_number(bytes: &mut Vec<u8>, number: usize) {
    let mut left = number;
    while left > 0x7f {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits")]
        bytes.push((left as u8 & 0x7f) | 0x80);
        left >>= 7;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most seven bits are left"
    )]
    bytes.push(left as u8);
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Takes a number off the front.
pub(crate) fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(crate) fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{Packed, put_number, take_number};
    use crate::alert::{Fingerprint, Labels as _, Pairs};

    fn pairs(text: &str) -> Pairs {
        text.split_terminator(',')
            .map(|it| it.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn there_and_back() {
        for (labels, annotations, url) in [
            ("", "", ""),
            ("a=b", "", ""),
            ("alertname=X,instance=straße", "summary=s", "http://x/y"),
        ] {
            let (labels, annotations) = (pairs(labels), pairs(annotations));
            let packed = Packed::of(&labels, &annotations, url);
            assert_eq!(packed.labels().to_pairs(), labels);
            assert_eq!(packed.annotations().to_pairs(), annotations);
            assert_eq!(packed.generator_url(), url);
            assert_eq!(packed.fingerprint(), Fingerprint::of(&labels));
            assert_eq!(packed.value("instance"), labels.value("instance"));
            assert_eq!(Packed::read(packed.bytes()).as_ref(), Some(&packed));
            // A part of it is none, whatever part.
            for end in 0..packed.bytes().len() {
                assert_eq!(Packed::read(&packed.bytes()[..end]), None, "{end}");
            }
        }
    }

    #[test]
    fn numbers() {
        for number in [0, 1, 127, 128, 300, 65_536, usize::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(take_number(&mut bytes.as_slice()), Some(number));
        }
        assert_eq!(take_number(&mut [0xff_u8; 20].as_slice()), None);
    }
}
