//! Families to text, and the door to all formats.

use std::{collections::BTreeSet, fmt, io::Write as _};

use crate::{
    Exemplar, Family, Format, Kind, Labels, Metric, Value,
    exemplar::by_bucket,
    number::{go_float, open_float},
    protobuf,
};

/// The last line of OpenMetrics.
const END: &[u8] = b"# EOF\n";

/// Writes an exposition. The families must be as [`crate::gather`] gives them; those without metrics are left out.
///
/// In OpenMetrics a counter's name must end in `_total`; one that does not is written with the type `unknown`, so that
/// a metric has the same name in both formats. In protobuf a sum that is not known is NaN, because readers take one that is
/// missing for 0. The text format 0.0.4 has no exemplars.
#[must_use]
pub fn write(families: &[Family], format: Format) -> Vec<u8> {
    match format {
        Format::Text => text(families, false),
        Format::OpenMetrics => text(families, true),
        Format::Protobuf => protobuf::write(families),
    }
}

fn text(families: &[Family], open: bool) -> Vec<u8> {
    let size = families.iter().map(|it| size(it, open)).sum::<usize>();
    let mut out = Vec::with_capacity(size + END.len());
    let taken: BTreeSet<&str> = if open {
        families.iter().map(Family::name).collect()
    } else {
        BTreeSet::new()
    };
    for family in families.iter().filter(|it| !it.metrics.is_empty()) {
        let mut writer = Writer {
            open,
            name: family.name(),
            has_exemplars: false,
        };
        writer.head(&mut out, family, &taken);
        for metric in &family.metrics {
            writer.metric(&mut out, metric);
        }
    }
    if open {
        out.extend_from_slice(END);
    }
    out
}

/// How many bytes a family may take, rather too many than too few: memory that is not written to costs nothing, while a
/// body of many megabytes that must grow is in memory twice.
fn size(family: &Family, open: bool) -> usize {
    /// The longest number with the space before it and the line feed after it.
    const NUMBER: usize = 26;
    /// `_bucket{le=""}`, `{quantile=""}` and a number in it that somebody chose.
    const PART: usize = 28;
    let head = 32 + 2 * family.name().len() + family.help().len();
    let metrics = family.metrics.iter().map(|metric| {
        // `name="value",`; braces count for the comma that the last has not.
        let labels = metric
            .labels
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let line = family.name().len() + 1 + labels.sum::<usize>() + NUMBER;
        let line = line + metric.timestamp().map_or(0, |_| NUMBER);
        let lines = match &metric.value {
            Value::Number(_) => line,
            Value::Histogram(its) => (its.buckets.len() + 3) * (line + PART),
            Value::Summary(its) => (its.quantiles.len() + 2) * (line + PART),
        };
        let exemplars = metric.exemplars().iter().filter(|_| open);
        // Their labels are short.
        let exemplars = exemplars.map(|_| 4 * Exemplar::MAX_CHARACTERS + 2 * NUMBER);
        lines + exemplars.sum::<usize>()
    });
    head + metrics.sum::<usize>()
}

/// A label set as it is written, `{}` left out when empty; for messages.
pub(crate) fn labels_text(labels: &Labels) -> String {
    let mut out = Vec::new();
    write_labels(&mut out, labels, None);
    String::from_utf8_lossy(&out).into_owned()
}

struct Writer<'a> {
    /// OpenMetrics, not the text format 0.0.4.
    open: bool,
    name: &'a str,
    /// OpenMetrics has them on counters and buckets alone.
    has_exemplars: bool,
}

impl Writer<'_> {
    fn head(&mut self, out: &mut Vec<u8>, family: &Family, taken: &BTreeSet<&str>) {
        let (name, kind) = match (self.open, family.kind()) {
            (false, kind) => (self.name, kind.as_str()),
            (true, Kind::Untyped) => (self.name, "unknown"),
            (true, Kind::Counter) => {
                match self.name.strip_suffix("_total") {
                    // The bare name may belong to another family.
                    Some(bare) if !bare.is_empty() && !taken.contains(bare) => (bare, "counter"),
                    Some(_) | None => (self.name, "unknown"),
                }
            }
            (true, kind) => (self.name, kind.as_str()),
        };
        self.has_exemplars = self.open && matches!(kind, "counter" | "histogram");
        if !family.help().is_empty() {
            out.extend_from_slice(b"# HELP ");
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
            escape(out, family.help(), self.open);
            out.push(b'\n');
        }
        out.extend_from_slice(b"# TYPE ");
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
    }

    fn metric(&self, out: &mut Vec<u8>, metric: &Metric) {
        match &metric.value {
            Value::Number(value) => {
                self.sample(out, metric, "", None, *value, metric.exemplars().last());
            }
            Value::Histogram(its) => {
                for (bound, count, exemplar) in
                    by_bucket(&its.buckets, its.count, metric.exemplars())
                {
                    let bound = Some(("le", bound));
                    self.sample(out, metric, "_bucket", bound, count, exemplar);
                }
                self.totals(out, metric, its.sum, its.count);
            }
            Value::Summary(its) => {
                for (quantile, value) in &its.quantiles {
                    let quantile = Some(("quantile", *quantile));
                    self.sample(out, metric, "", quantile, *value, None);
                }
                self.totals(out, metric, its.sum, its.count);
            }
        }
    }

    fn totals(&self, out: &mut Vec<u8>, metric: &Metric, sum: Option<f64>, count: f64) {
        if let Some(sum) = sum {
            self.sample(out, metric, "_sum", None, sum, None);
        }
        self.sample(out, metric, "_count", None, count, None);
    }

    fn sample(
        &self,
        out: &mut Vec<u8>,
        metric: &Metric,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: f64,
        exemplar: Option<&Exemplar>,
    ) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        let bound = extra.map(|(name, bound)| (name, bound, self.open));
        write_labels(out, &metric.labels, bound);
        out.push(b' ');
        number(out, value, self.open);
        if let Some(milliseconds) = metric.timestamp() {
            timestamp(out, milliseconds, self.open);
        }
        if let Some(exemplar) = exemplar.filter(|_| self.has_exemplars) {
            out.extend_from_slice(b" # ");
            if exemplar.labels().is_empty() {
                out.extend_from_slice(b"{}");
            }
            write_labels(out, exemplar.labels(), None);
            out.push(b' ');
            number(out, exemplar.value(), self.open);
            if let Some(milliseconds) = exemplar.timestamp() {
                timestamp(out, milliseconds, self.open);
            }
        }
        out.push(b'\n');
    }
}

fn timestamp(out: &mut Vec<u8>, milliseconds: i64, open: bool) {
    out.push(b' ');
    if open {
        let sign = if milliseconds < 0 { "-" } else { "" };
        let rest = milliseconds.unsigned_abs();
        append(
            out,
            format_args!("{sign}{}.{:03}", rest / 1000, rest % 1000),
        );
    } else {
        append(out, format_args!("{milliseconds}"));
    }
}

fn number(out: &mut Vec<u8>, value: f64, open: bool) {
    if open {
        open_float(out, value);
    } else {
        go_float(out, value);
    }
}

fn append(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _infallible = out.write_fmt(text);
}

/// `bound` is the label that a part of a histogram or summary has beyond the metric's own.
fn write_labels(out: &mut Vec<u8>, labels: &Labels, bound: Option<(&str, f64, bool)>) {
    if labels.is_empty() && bound.is_none() {
        return;
    }
    let mut separator = b'{';
    for (name, value) in labels.iter() {
        out.push(separator);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape(out, value, true);
        out.push(b'"');
        separator = b',';
    }
    if let Some((name, bound, open)) = bound {
        out.push(separator);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        number(out, bound, open);
        out.push(b'"');
    }
    out.push(b'}');
}

/// Backslash and line feed are escaped everywhere; the quote in label values and in OpenMetrics' help texts.
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut rest = text.as_bytes();
    let special = |it: &u8| matches!(it, b'\\' | b'\n') || quotes && *it == b'"';
    while let Some(at) = rest.iter().position(special) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (first, tail) = tail.split_first().unwrap_or((&b' ', &[]));
        out.push(b'\\');
        out.push(if *first == b'\n' { b'n' } else { *first });
        rest = tail;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::{
        Desc, Exemplar, Family, Format, Histogram, Kind, Labels, Native, Summary, Value, gather,
    };

    const HOSTILE: &str = "a\\b\nc\"d é";

    fn sample() -> Vec<Family> {
        let mut total = Family::of(
            &Desc::new("jobs_total", Kind::Counter, "Jobs \\ done,\n\"all\".").labels(&["who"]),
        );
        total.push(&[HOSTILE], 3.0);
        total.push(&[""], 1e6);
        let bare = Family::single(&Desc::new("bare", Kind::Counter, "No suffix."), 1.0);
        let clash = Family::single(&Desc::new("jobs", Kind::Gauge, "A clash."), 1.0);
        let clear = Family::single(&Desc::new("runs_total", Kind::Counter, "Runs."), 0.25);
        let empty = Family::of(&Desc::new("empty", Kind::Gauge, "Nothing."));
        let mut seconds = Family::of(&Desc::new("took_seconds", Kind::Histogram, "Time."));
        seconds.push_histogram(
            &[],
            Histogram {
                buckets: vec![(0.5, 1.0), (1.0, 2.0)],
                sum: Some(7.5),
                count: 3.0,
                native: None,
            },
        );
        let mut summary = Family::new("wait", Kind::Summary, "").unwrap();
        summary.push_value(
            Labels::new([("a", "b")]).unwrap(),
            Value::Summary(Box::new(Summary {
                quantiles: vec![(0.99, 2.0)],
                sum: Some(4.0),
                count: 2.0,
            })),
        );
        summary.metrics[0].set_timestamp(-1_500);
        let mut untyped = Family::new("odd", Kind::Untyped, "Odd.").unwrap();
        untyped.push_labels(Labels::EMPTY, f64::NAN);
        let (families, conflicts) = gather(vec![
            total, bare, clash, clear, empty, seconds, summary, untyped,
        ]);
        assert_eq!(conflicts, []);
        families
    }

    #[test]
    fn text_0_0_4() {
        let expect = r#"# HELP bare No suffix.
# TYPE bare counter
bare 1
# HELP jobs A clash.
# TYPE jobs gauge
jobs 1
# HELP jobs_total Jobs \\ done,\n"all".
# TYPE jobs_total counter
jobs_total{who=""} 1e+06
jobs_total{who="a\\b\nc\"d é"} 3
# HELP odd Odd.
# TYPE odd untyped
odd NaN
# HELP runs_total Runs.
# TYPE runs_total counter
runs_total 0.25
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1
took_seconds_bucket{le="1"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 7.5
took_seconds_count 3
# TYPE wait summary
wait{a="b",quantile="0.99"} 2 -1500
wait_sum{a="b"} 4 -1500
wait_count{a="b"} 2 -1500
"#;
        let written = write(&sample(), Format::Text);
        assert_eq!(String::from_utf8(written).unwrap(), expect);
    }

    #[test]
    fn open_metrics() {
        let expect = r#"# HELP bare No suffix.
# TYPE bare unknown
bare 1.0
# HELP jobs A clash.
# TYPE jobs gauge
jobs 1.0
# HELP jobs_total Jobs \\ done,\n\"all\".
# TYPE jobs_total unknown
jobs_total{who=""} 1e+06
jobs_total{who="a\\b\nc\"d é"} 3.0
# HELP odd Odd.
# TYPE odd unknown
odd NaN
# HELP runs Runs.
# TYPE runs counter
runs_total 0.25
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1.0
took_seconds_bucket{le="1.0"} 2.0
took_seconds_bucket{le="+Inf"} 3.0
took_seconds_sum 7.5
took_seconds_count 3.0
# TYPE wait summary
wait{a="b",quantile="0.99"} 2.0 -1.500
wait_sum{a="b"} 4.0 -1.500
wait_count{a="b"} 2.0 -1.500
# EOF
"#;
        let written = write(&sample(), Format::OpenMetrics);
        assert_eq!(String::from_utf8(written).unwrap(), expect);
    }

    /// What is not known is left out, and what text cannot say.
    #[test]
    fn parts_left_out() {
        let mut native = Family::of(&Desc::new("native_seconds", Kind::Histogram, "N."));
        native.push_histogram(
            &[],
            Histogram {
                sum: Some(2.5),
                count: 3.0,
                native: Some(Native {
                    positive: vec![(0, 3)],
                    ..Native::default()
                }),
                ..Histogram::default()
            },
        );
        let mut summary = Family::of(&Desc::new("wait", Kind::Summary, "W.").labels(&["a"]));
        let labels = Labels::new([("a", "b")]).unwrap();
        let value = Value::Summary(Box::new(Summary {
            quantiles: vec![(0.5, 0.25)],
            sum: None,
            count: 2.0,
        }));
        summary.push_value(labels, value);
        let mut classic = Family::of(&Desc::new("wide", Kind::Histogram, "C."));
        classic.push_histogram(
            &[],
            Histogram {
                buckets: vec![(1.5, 1.0)],
                count: 2.0,
                ..Histogram::default()
            },
        );
        let expect = r#"# HELP native_seconds N.
# TYPE native_seconds histogram
native_seconds_bucket{le="+Inf"} 3
native_seconds_sum 2.5
native_seconds_count 3
# HELP wait W.
# TYPE wait summary
wait{a="b",quantile="0.5"} 0.25
wait_count{a="b"} 2
# HELP wide C.
# TYPE wide histogram
wide_bucket{le="1.5"} 1
wide_bucket{le="+Inf"} 2
wide_count 2
"#;
        let families = [native, summary, classic];
        let written = String::from_utf8(write(&families, Format::Text)).unwrap();
        assert_eq!(written, expect);
        let back = crate::parse::text_strict(&written).unwrap();
        assert_eq!(write(&back, Format::Text), written.as_bytes());
    }

    /// The buffer does not grow while it is written.
    #[test]
    fn the_size_is_enough() {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut long = Family::of(&Desc::new("n", Kind::Summary, "H."));
            for at in 0..1000 {
                let number = -1.234_567_890_123_456_7e-300 * f64::from(at);
                let value = Value::Summary(Box::new(Summary {
                    quantiles: vec![(0.999_123, number); 6],
                    sum: Some(number),
                    count: f64::MAX,
                }));
                let labels = Labels::new([("at", at.to_string())]).unwrap();
                long.push_value(labels, value);
            }
            for it in &mut long.metrics {
                it.set_timestamp(i64::MIN);
            }
            let room = super::size(&long, format == Format::OpenMetrics);
            let written = write(&[long], format);
            assert!(written.len() < room && written.capacity() == room + 6);
        }
    }

    #[test]
    fn exemplars() {
        let of = |labels: &[(&'static str, &'static str)], value, timestamp| {
            let labels = Labels::new(labels.iter().copied()).unwrap();
            Exemplar::new(labels, value, timestamp).unwrap()
        };
        let first = of(&[("trace_id", "a\"b\\c\nd")], 0.25, Some(1_500));
        let second = of(&[], 7.0, None);
        let third = of(&[("span", "s"), ("trace_id", "t")], 1.0, Some(-1));
        let mut families = [
            Family::single(&Desc::new("runs_total", Kind::Counter, "R."), 1.0),
            Family::single(&Desc::new("bare", Kind::Counter, "No suffix."), 1.0),
            Family::single(&Desc::new("level", Kind::Gauge, "G."), 1.0),
            Family::of(&Desc::new("took_seconds", Kind::Histogram, "T.")),
        ];
        let histogram = Histogram {
            buckets: vec![(0.5, 1.0), (1.0, 2.0), (2.0, 2.0)],
            count: 3.0,
            ..Histogram::default()
        };
        families[3].push_histogram(&[], histogram);
        for metric in families.iter_mut().flat_map(|it| &mut it.metrics) {
            for exemplar in [&first, &second, &third] {
                metric.add_exemplar(exemplar.clone());
            }
        }
        families[3].metrics[0].set_timestamp(9_000);
        let expect = r#"# HELP runs R.
# TYPE runs counter
runs_total 1.0 # {span="s",trace_id="t"} 1.0 -0.001
# HELP bare No suffix.
# TYPE bare unknown
bare 1.0
# HELP level G.
# TYPE level gauge
level 1.0
# HELP took_seconds T.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1.0 9.000 # {trace_id="a\"b\\c\nd"} 0.25 1.500
took_seconds_bucket{le="1.0"} 2.0 9.000 # {span="s",trace_id="t"} 1.0 -0.001
took_seconds_bucket{le="2.0"} 2.0 9.000
took_seconds_bucket{le="+Inf"} 3.0 9.000 # {} 7.0
took_seconds_count 3.0 9.000
# EOF
"#;
        let written = String::from_utf8(write(&families, Format::OpenMetrics)).unwrap();
        assert_eq!(written, expect);
        let back = crate::parse::open_metrics(&written).unwrap();
        assert_eq!(back[3].metrics[0].exemplars(), [first, third, second]);
        assert_eq!(write(&back, Format::OpenMetrics), written.as_bytes());
        let text = String::from_utf8(write(&families, Format::Text)).unwrap();
        assert!(!text.contains(" # "), "{text}");
    }

    /// What is written is what the strict parsers read.
    #[test]
    fn round_trip() {
        let families = sample();
        let text = String::from_utf8(write(&families, Format::Text)).unwrap();
        let back = crate::parse::text_strict(&text).unwrap();
        assert_eq!(String::from_utf8(write(&back, Format::Text)).unwrap(), text);
        let open = String::from_utf8(write(&families, Format::OpenMetrics)).unwrap();
        let back = crate::parse::open_metrics(&open).unwrap();
        assert_eq!(
            String::from_utf8(write(&back, Format::OpenMetrics)).unwrap(),
            open
        );
    }
}
