//! Families to Prometheus' protobuf format: messages `MetricFamily` of `io.prometheus.client`, each after its length
//! (<https://github.com/prometheus/client_model/blob/v0.6.2/io/prometheus/client/metrics.proto>). The one format that
//! carries native histograms.
//!
//! Written by hand: two dozen fields of nine messages need no generated code.

use crate::{
    Exemplar, Family, Histogram, Kind, Labels, Metric, Native, Summary, Value, exemplar::by_bucket,
};

/// How messages say which type a field has.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;

/// Buckets that lie not further apart than this share a span: an empty bucket takes a byte, a span four.
/// Prometheus' client for Go joins as many.
const MAX_GAP: i64 = 2;

pub(crate) fn write(families: &[Family]) -> Vec<u8> {
    let mut out = Vec::with_capacity(families.iter().map(size).sum());
    for it in families.iter().filter(|it| !it.metrics.is_empty()) {
        with_length(&mut out, |out| family(out, it));
    }
    out
}

/// How many bytes a family may take, rather too many than too few.
fn size(family: &Family) -> usize {
    let metrics = family.metrics.iter().map(|metric| {
        let labels = metric
            .labels
            .iter()
            .map(|(name, value)| name.len() + value.len() + 10);
        let value = match &metric.value {
            Value::Number(_) => 11,
            Value::Summary(summary) => 30 + 20 * summary.quantiles.len(),
            Value::Histogram(histogram) => {
                let native = histogram.native.as_ref().map_or(0, |it| it.positive.len());
                70 + 32 * histogram.buckets.len() + 20 * native
            }
        };
        // Of a histogram it may stand in a bucket, and among all; its labels are short.
        let exemplars = metric.exemplars().len() * 2 * (32 + 8 * Exemplar::MAX_CHARACTERS);
        16 + labels.sum::<usize>() + value + exemplars
    });
    24 + family.name().len() + family.help().len() + metrics.sum::<usize>()
}

fn family(out: &mut Vec<u8>, family: &Family) {
    bytes(out, 1, family.name().as_bytes());
    if !family.help().is_empty() {
        bytes(out, 2, family.help().as_bytes());
    }
    let kind = match family.kind() {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Summary => 2,
        Kind::Untyped => 3,
        Kind::Histogram => 4,
    };
    number(out, 3, kind);
    for it in &family.metrics {
        message(out, 4, |out| metric(out, family.kind(), it));
    }
}

fn metric(out: &mut Vec<u8>, kind: Kind, metric: &Metric) {
    labels(out, &metric.labels);
    match &metric.value {
        Value::Number(value) => {
            let field = match kind {
                Kind::Gauge => 2,
                Kind::Counter => 3,
                Kind::Histogram | Kind::Summary | Kind::Untyped => 5,
            };
            message(out, field, |out| {
                double(out, 1, *value);
                if let Some(its) = metric.exemplars().last().filter(|_| kind == Kind::Counter) {
                    message(out, 2, |out| exemplar(out, its));
                }
            });
        }
        Value::Summary(its) => message(out, 4, |out| summary(out, its)),
        Value::Histogram(its) => message(out, 7, |out| histogram(out, its, metric.exemplars())),
    }
    if let Some(milliseconds) = metric.timestamp() {
        number(out, 6, milliseconds.cast_unsigned());
    }
}

fn labels(out: &mut Vec<u8>, labels: &Labels) {
    for (name, value) in labels.iter() {
        message(out, 1, |out| {
            bytes(out, 1, name.as_bytes());
            bytes(out, 2, value.as_bytes());
        });
    }
}

fn summary(out: &mut Vec<u8>, summary: &Summary) {
    number(out, 1, whole(summary.count));
    sum(out, summary.sum);
    for (quantile, value) in &summary.quantiles {
        message(out, 3, |out| {
            double(out, 1, *quantile);
            double(out, 2, *value);
        });
    }
}

fn histogram(out: &mut Vec<u8>, histogram: &Histogram, exemplars: &[Exemplar]) {
    count(out, histogram.count);
    sum(out, histogram.sum);
    let given = histogram.buckets.len();
    for (at, (bound, inside, its)) in
        by_bucket(&histogram.buckets, histogram.count, exemplars).enumerate()
    {
        // What is not given is `+Inf`, which readers make themselves: it is only there for its exemplar.
        if at == given && its.is_none() {
            continue;
        }
        message(out, 3, |out| {
            count(out, inside);
            double(out, 2, bound);
            if let Some(its) = its {
                message(out, 3, |out| exemplar(out, its));
            }
        });
    }
    // One that Prometheus does not know would cost all of the scrape.
    if let Some(its) = &histogram.native
        && (-4..=8).contains(&its.schema)
    {
        native(out, its);
        // Those without a time are not allowed here.
        for its in exemplars.iter().filter(|it| it.timestamp().is_some()) {
            message(out, 16, |out| exemplar(out, its));
        }
    }
}

fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    labels(out, exemplar.labels());
    double(out, 2, exemplar.value());
    if let Some(milliseconds) = exemplar.timestamp() {
        message(out, 3, |out| {
            number(out, 1, milliseconds.div_euclid(1000).cast_unsigned());
            let nanoseconds = milliseconds.rem_euclid(1000) * 1_000_000;
            number(out, 2, nanoseconds.cast_unsigned());
        });
    }
}

fn native(out: &mut Vec<u8>, native: &Native) {
    number(out, 5, zigzag(i64::from(native.schema)));
    double(out, 6, native.zero_threshold);
    number(out, 7, native.zero_count);
    let (spans, counts) = spans(&native.positive);
    for (offset, length) in spans {
        message(out, 12, |out| {
            number(out, 1, zigzag(offset));
            number(out, 2, length);
        });
    }
    if counts.is_empty() {
        return;
    }
    message(out, 13, |out| {
        let mut before = 0_i64;
        for count in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            varint(out, zigzag(count - before));
            before = count;
        }
    });
}

/// Runs of buckets without a large gap, as the distance to the end of the run before (of the first: to 0) and how many
/// there are; and what is counted in each bucket of all runs.
fn spans(buckets: &[(i32, u64)]) -> (Vec<(i64, u64)>, Vec<u64>) {
    let mut spans: Vec<(i64, u64)> = Vec::new();
    let mut counts = Vec::with_capacity(buckets.len());
    // The index after the last bucket.
    let mut next = 0_i64;
    for (index, count) in buckets.iter().filter(|it| it.1 > 0) {
        let gap = i64::from(*index) - next;
        match spans.last_mut() {
            Some((_, length)) if gap <= MAX_GAP => {
                // A bucket that stands out of order cannot be said.
                let Ok(gap) = usize::try_from(gap) else {
                    continue;
                };
                counts.extend(std::iter::repeat_n(0, gap));
                *length += u64::try_from(gap).unwrap_or(0) + 1;
            }
            Some(_) | None => spans.push((gap, 1)),
        }
        counts.push(*count);
        next = i64::from(*index) + 1;
    }
    if spans.is_empty() {
        // The specification's sign for "native, and nothing was counted yet".
        spans.push((0, 0));
    }
    (spans, counts)
}

/// Readers take a sum that is missing for 0, which would be a wrong number. NaN says that there is none.
fn sum(out: &mut Vec<u8>, sum: Option<f64>) {
    double(out, 2, sum.unwrap_or(f64::NAN));
}

/// Fields 1 and 4 of a histogram and of its buckets: a whole number, and beside it what is none.
fn count(out: &mut Vec<u8>, count: f64) {
    number(out, 1, whole(count));
    if count.fract() != 0.0 {
        double(out, 4, count);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is no whole number is written beside it, or the format cannot say it"
)]
const fn whole(count: f64) -> u64 {
    count as u64
}

/// The bit of the sign last, so that small negative numbers are short.
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while let (0x80.., low) = (value, value.to_le_bytes()[0]) {
        out.push(low | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn tag(out: &mut Vec<u8>, field: u8, kind: u8) {
    match field {
        ..16 => out.push(field << 3 | kind),
        _ => varint(out, u64::from(field) << 3 | u64::from(kind)),
    }
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    tag(out, field, BYTES);
    varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

fn message(out: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    with_length(out, write);
}

/// Most messages are shorter than 128 bytes: room for one byte of length is left before it, and a longer one is moved.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    match (u8::try_from(length), out.get_mut(start)) {
        (Ok(short @ ..0x80), Some(place)) => *place = short,
        _ => {
            let mut text = Vec::with_capacity(10);
            varint(&mut text, u64::try_from(length).unwrap_or(u64::MAX));
            out.splice(start..=start, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{size, spans, varint, write, zigzag};
    use crate::{Desc, Exemplar, Family, Histogram, Kind, Labels, Native, Summary, Value};

    #[test]
    fn numbers() {
        for (value, expect) in [
            (0, &[0][..]),
            (1, &[1]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expect, "{value}");
        }
        for (value, expect) in [
            (0, 0),
            (-1, 1),
            (1, 2),
            (-2, 3),
            (i64::MAX, u64::MAX - 1),
            (i64::MIN, u64::MAX),
        ] {
            assert_eq!(zigzag(value), expect, "{value}");
        }
    }

    #[test]
    fn runs_of_buckets() {
        fn check(buckets: &[(i32, u64)], runs: &[(i64, u64)], counts: &[u64]) {
            assert_eq!(
                spans(buckets),
                (runs.to_vec(), counts.to_vec()),
                "{buckets:?}"
            );
        }
        check(&[], &[(0, 0)], &[]);
        check(&[(5, 0)], &[(0, 0)], &[]);
        check(&[(0, 1)], &[(0, 1)], &[1]);
        check(&[(-3, 1), (-2, 4)], &[(-3, 2)], &[1, 4]);
        check(&[(1, 1), (2, 0), (4, 2)], &[(1, 4)], &[1, 0, 0, 2]);
        check(&[(1, 1), (5, 2)], &[(1, 1), (3, 1)], &[1, 2]);
        check(&[(3, 1), (3, 9), (1, 9), (4, 2)], &[(3, 2)], &[1, 2]);
        check(
            &[(i32::MIN, 1), (i32::MAX, 2)],
            &[(-0x8000_0000, 1), (0xffff_fffe, 1)],
            &[1, 2],
        );
    }

    /// A small message, byte by byte as the specification of protocol buffers has it.
    #[test]
    fn bytes() {
        let mut family = Family::of(&Desc::new("a", Kind::Counter, "H.").labels(&["l"]));
        assert_eq!(write(&[family.clone()]), []);
        family.push(&["v"], 1.0);
        #[rustfmt::skip]
        let expect = [
            30,
            0x0a, 1, b'a', 0x12, 2, b'H', b'.', 0x18, 0,
            0x22, 19,
            0x0a, 6, 0x0a, 1, b'l', 0x12, 1, b'v',
            0x1a, 9, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f,
        ];
        assert_eq!(write(&[family]), expect);
    }

    #[test]
    fn long_messages_have_their_length() {
        let help = "h".repeat(300);
        let mut family = Family::new("a", Kind::Gauge, help).unwrap();
        family.push_labels(Labels::new([("l", "v".repeat(200))]).unwrap(), 0.0);
        let written = write(&[family]);
        // 3 + 3 + 300 + 2 + (3 + (3 + 3 + 203) + 11)
        assert_eq!(written.get(..2), Some(&[0x93, 0x04][..]));
        assert_eq!(written.len(), 2 + 0x213);
    }

    /// The buffer does not grow while it is written.
    #[test]
    fn the_size_is_enough() {
        let far = |at: i32| (at * 1_000_000_000, u64::MAX);
        let mut families = [
            Family::new("a", Kind::Histogram, "").unwrap(),
            Family::new("b", Kind::Summary, "").unwrap(),
            Family::new("c", Kind::Gauge, "").unwrap(),
        ];
        for at in 0..100 {
            let labels = Labels::new([("at", at.to_string()), ("b", "v".repeat(300))]).unwrap();
            let histogram = Histogram {
                buckets: vec![(0.5, 1e15 + 0.5); 9],
                sum: None,
                count: 1e15 + 0.5,
                native: Some(Native {
                    schema: -4,
                    zero_threshold: 0.0,
                    zero_count: u64::MAX,
                    positive: vec![far(-2), far(-1), far(0), far(1), far(2)],
                }),
            };
            let summary = Summary {
                quantiles: vec![(0.5, 1.0); 9],
                sum: Some(1.0),
                count: f64::MAX,
            };
            let values = [
                Value::Histogram(Box::new(histogram)),
                Value::Summary(Box::new(summary)),
                Value::Number(1.0),
            ];
            for (family, value) in families.iter_mut().zip(values) {
                family.push_value(labels.clone(), value);
                if let Some(metric) = family.metrics.last_mut() {
                    metric.set_timestamp(-1);
                    for value in [-1.0, 0.5, 0.5, 7.0] {
                        let labels = ["a", "b"].map(|it| (it, "\u{1f980}".repeat(63)));
                        let labels = Labels::new(labels).unwrap();
                        metric.add_exemplar(Exemplar::new(labels, value, Some(-1)).unwrap());
                    }
                }
            }
        }
        let room = families.iter().map(size).sum::<usize>();
        let written = write(&families);
        assert!(written.len() <= room && written.capacity() == room);
    }
}
