//! Families that stay as they are from scrape to scrape, and pages that are put together of what was written of them.
//!
//! A collector with thousands of metrics that seldom change shows them again by handing on what it has: they are sorted once, written once
//! for each format, and sent as they lie in memory.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use exposition::{Conflict, Family, Format, Kind, gather};

use crate::http::{Bytes, ReplyBody};

/// The last line of OpenMetrics.
const END: &[u8] = b"# EOF\n";

/// A family that is shown again.
#[derive(Debug)]
pub struct Kept {
    family: Family,
    /// By [`place`].
    texts: [OnceLock<Bytes>; 3],
}

impl Kept {
    /// Sorts its metrics, and leaves out those that are there twice.
    #[must_use]
    pub fn new(family: Family) -> Arc<Self> {
        let kind = family.kind();
        let (mut families, _conflicts) = gather(vec![family]);
        let empty = || Family::new("empty", kind, "").expect("it is a metric's name");
        Arc::new(Self {
            family: families.pop().unwrap_or_else(empty),
            texts: Default::default(),
        })
    }

    /// What it shows.
    #[must_use]
    pub const fn family(&self) -> &Family {
        &self.family
    }

    fn text(&self, format: Format) -> Option<Bytes> {
        let text = self.texts.get(place(format))?;
        let text = text.get_or_init(|| written(std::slice::from_ref(&self.family), format));
        Some(text.clone())
    }
}

/// What a collector shows: families that it has made, and such as it keeps.
#[derive(Debug, Default)]
pub struct Shown {
    /// In any order.
    pub families: Vec<Family>,
    /// In any order; a name that others have, too, costs what was written.
    pub kept: Vec<Arc<Kept>>,
}

const fn place(format: Format) -> usize {
    match format {
        Format::Text => 0,
        Format::OpenMetrics => 1,
        Format::Protobuf => 2,
    }
}

/// Without the end of the page.
fn written(families: &[Family], format: Format) -> Bytes {
    let mut text = exposition::write(families, format);
    if format == Format::OpenMetrics && text.ends_with(END) {
        text.truncate(text.len() - END.len());
    }
    text.into()
}

/// The page of what was shown: families in the order of their names, as [`gather`] and [`exposition::write`] make it of all of them.
pub(crate) fn page(shown: Shown, format: Format) -> (ReplyBody, Vec<Conflict>) {
    let Shown {
        mut families,
        mut kept,
    } = shown;
    kept.sort_by(|a, b| a.family.name().cmp(b.family.name()));
    if !stand_apart(&families, &kept) {
        families.extend(kept.drain(..).map(|it| it.family.clone()));
    }
    let (families, conflicts) = gather(families);
    let mut parts = Vec::new();
    let mut rest = families.as_slice();
    for its in kept {
        let before = rest.partition_point(|it| it.name() < its.family.name());
        let (run, others) = rest.split_at(before);
        parts.push(written(run, format));
        parts.extend(its.text(format));
        rest = others;
    }
    parts.push(written(rest, format));
    if format == Format::OpenMetrics {
        parts.push(Bytes::from_static(END));
    }
    (ReplyBody::parts(parts), conflicts)
}

/// Whether families may be written one by one: no name depends on another, and no two are one.
fn stand_apart(families: &[Family], kept: &[Arc<Kept>]) -> bool {
    let names: BTreeSet<&str> = families.iter().map(Family::name).collect();
    let claimed: BTreeSet<Cow<'_, str>> = families.iter().flat_map(claims).collect();
    let is_free = |name: &str| !names.contains(name) && !claimed.contains(name);
    let are_apart = kept.windows(2).all(|pair| match pair {
        [a, b] => a.family.name() < b.family.name(),
        _ => true,
    });
    are_apart
        && kept
            .iter()
            .all(|it| it.family.kind() == Kind::Gauge && is_free(it.family.name()))
        && claimed.iter().all(|it| !names.contains(it.as_ref()))
}

/// Names besides its own that a family takes: those of its parts, and what OpenMetrics calls a counter.
fn claims(family: &Family) -> Vec<Cow<'_, str>> {
    let name = family.name();
    let parts: &[&str] = match family.kind() {
        Kind::Histogram => &["_bucket", "_count", "_sum"],
        Kind::Summary => &["_count", "_sum"],
        Kind::Counter => {
            return name
                .strip_suffix("_total")
                .map(Cow::from)
                .into_iter()
                .collect();
        }
        Kind::Gauge | Kind::Untyped => &[],
    };
    parts
        .iter()
        .map(|it| format!("{name}{it}").into())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use exposition::{Family, Format, Histogram, Kind, Labels, Value, gather};

    use super::{Kept, Shown, page};
    use crate::http::ReplyBody;

    fn family(name: &str, kind: Kind, labels: &[&str]) -> Family {
        let mut family = Family::new(name.to_owned(), kind, "Help.").unwrap();
        for label in labels {
            let labels = Labels::new([("a", (*label).to_owned())]).unwrap();
            let value = match kind {
                Kind::Histogram => Value::Histogram(Box::<Histogram>::default()),
                _ => Value::Number(1.0),
            };
            family.push_value(labels, value);
        }
        family
    }

    fn bytes(body: ReplyBody) -> Vec<u8> {
        match body {
            ReplyBody::Parts(parts) => Vec::from(parts).concat(),
            other => panic!("{other:?}"),
        }
    }

    /// The page is the one of all families, however they are given.
    #[track_caller]
    fn check(families: &[Family], kept: &[Family]) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let all = [families, kept].concat();
            let (expect, conflicts) = gather(all);
            let expect = exposition::write(&expect, format);
            let kept: Vec<_> = kept.iter().cloned().map(Kept::new).collect();
            for _ in 0..2 {
                let shown = Shown {
                    families: families.to_vec(),
                    kept: kept.iter().rev().cloned().collect(),
                };
                let (body, told) = page(shown, format);
                assert_eq!(body.size(), Some(expect.len() as u64));
                let body = bytes(body);
                assert_eq!(
                    String::from_utf8_lossy(&body),
                    String::from_utf8_lossy(&expect)
                );
                assert_eq!(told.len(), conflicts.len(), "{told:?}");
            }
        }
    }

    #[test]
    fn pages() {
        use Kind::{Counter, Gauge, Histogram};
        let gauge = |name| family(name, Gauge, &["2", "1", "10"]);
        check(&[], &[]);
        check(&[gauge("b")], &[]);
        check(&[], &[gauge("b")]);
        check(
            &[gauge("b"), gauge("d")],
            &[gauge("c"), gauge("a"), gauge("e")],
        );
        check(&[gauge("b")], &[family("a", Gauge, &[])]);
        // Names that depend on others.
        check(&[gauge("b")], &[gauge("b")]);
        check(
            &[family("b", Counter, &["1"])],
            &[family("b", Gauge, &["3"])],
        );
        check(&[family("b_total", Counter, &["1"])], &[gauge("b")]);
        check(&[gauge("b")], &[family("b_total", Counter, &["1"])]);
        check(&[family("b", Histogram, &["1"])], &[gauge("b_count")]);
        check(
            &[gauge("b"), family("b_total", Counter, &["1"])],
            &[gauge("b1")],
        );
    }

    #[test]
    fn what_was_written_is_sent_again() {
        let kept = Kept::new(family("a", Kind::Gauge, &["1"]));
        let first = kept.text(Format::Text).unwrap();
        let again = kept.text(Format::Text).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_eq!(Arc::clone(&kept).family().metrics.len(), 1);
    }
}
