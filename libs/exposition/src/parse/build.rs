//! Samples to families: which sample belongs to which family, and what a family may hold.

use std::collections::{BTreeMap, BTreeSet};

use super::line::Sample;
use crate::{Family, Histogram, Kind, Labels, Metric, Summary, Value};

/// Types of OpenMetrics 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenKind {
    Unknown,
    Gauge,
    Counter,
    StateSet,
    Info,
    Histogram,
    GaugeHistogram,
    Summary,
}

/// What OpenMetrics said about the family at hand.
struct OpenFamily {
    /// Without suffix.
    name: String,
    kind: Option<OpenKind>,
    help: Option<String>,
    unit: bool,
    sampled: bool,
}

pub(super) struct Builder {
    strict: bool,
    families: Vec<Family>,
    by_name: BTreeMap<String, usize>,
    /// Where the metric with these labels stands in its family.
    by_labels: BTreeMap<(usize, Labels), usize>,
    /// Families with a help or type line or a sample.
    helped: BTreeSet<usize>,
    typed: BTreeSet<usize>,
    sampled: BTreeSet<usize>,
    last: Option<usize>,
    open: Option<OpenFamily>,
    open_names: BTreeSet<String>,
}

impl Builder {
    pub(super) const fn new(strict: bool) -> Self {
        Self {
            strict,
            families: Vec::new(),
            by_name: BTreeMap::new(),
            by_labels: BTreeMap::new(),
            helped: BTreeSet::new(),
            typed: BTreeSet::new(),
            sampled: BTreeSet::new(),
            last: None,
            open: None,
            open_names: BTreeSet::new(),
        }
    }

    pub(super) fn finish(mut self) -> Result<Vec<Family>, String> {
        if self.strict {
            for family in &self.families {
                check_histograms(family)?;
            }
        }
        self.families.retain(|it| !it.metrics.is_empty());
        Ok(self.families)
    }

    /// A `# HELP` line of the text format.
    pub(super) fn help(&mut self, name: &str, help: String) -> Result<(), String> {
        let at = self.family(name, Kind::Untyped)?;
        self.enter(at)?;
        if !self.helped.insert(at) {
            return Err(format!("second HELP line of {name}"));
        }
        if let Some(family) = self.families.get_mut(at) {
            family.set_help(help);
        }
        Ok(())
    }

    /// A `# TYPE` line of the text format.
    pub(super) fn kind(&mut self, name: &str, kind: Kind) -> Result<(), String> {
        let at = self.family(name, Kind::Untyped)?;
        self.enter(at)?;
        if !self.typed.insert(at) || self.sampled.contains(&at) {
            return Err(format!(
                "second TYPE line of {name}, or one after its samples"
            ));
        }
        if let Some(family) = self.families.get_mut(at) {
            family.set_kind(kind);
        }
        Ok(())
    }

    /// A sample of the text format.
    pub(super) fn text_sample(&mut self, sample: Sample<'_>) -> Result<(), String> {
        let (at, suffix) = match self.owner(sample.name) {
            Some(found) => found,
            None => (self.family(sample.name, Kind::Untyped)?, ""),
        };
        self.enter(at)?;
        self.sampled.insert(at);
        self.add(at, suffix, sample)
    }

    /// A `# HELP` line of OpenMetrics.
    pub(super) fn open_metrics_help(&mut self, name: &str, help: String) -> Result<(), String> {
        let open = self.describe(name)?;
        if open.help.replace(help).is_some() {
            return Err(format!("second HELP line of {name}"));
        }
        Ok(())
    }

    /// A `# UNIT` line of OpenMetrics.
    pub(super) fn open_metrics_unit(&mut self, name: &str, unit: &str) -> Result<(), String> {
        let open = self.describe(name)?;
        if std::mem::replace(&mut open.unit, true) {
            return Err(format!("second UNIT line of {name}"));
        }
        let suffixed = name
            .strip_suffix(unit)
            .is_some_and(|it| it.ends_with('_') && it.len() > 1);
        if !unit.is_empty() && !suffixed {
            return Err(format!(
                "the unit of {name} is {unit}, but its name does not end so"
            ));
        }
        Ok(())
    }

    /// A `# TYPE` line of OpenMetrics.
    pub(super) fn open_metrics_type(&mut self, name: &str, kind: &str) -> Result<(), String> {
        let kind = match kind {
            "unknown" => OpenKind::Unknown,
            "gauge" => OpenKind::Gauge,
            "counter" => OpenKind::Counter,
            "stateset" => OpenKind::StateSet,
            "info" => OpenKind::Info,
            "histogram" => OpenKind::Histogram,
            "gaugehistogram" => OpenKind::GaugeHistogram,
            "summary" => OpenKind::Summary,
            _ => return Err(format!("unknown type {kind:?} of {name}")),
        };
        let open = self.describe(name)?;
        if open.kind.replace(kind).is_some() {
            return Err(format!("second TYPE line of {name}"));
        }
        Ok(())
    }

    /// A sample of OpenMetrics.
    pub(super) fn open_metrics_sample(&mut self, sample: Sample<'_>) -> Result<(), String> {
        let name = sample.name;
        let suffix = self.open.as_ref().and_then(|open| {
            let suffix = name.strip_prefix(open.name.as_str())?;
            suffixes(open.kind).contains(&suffix).then_some(suffix)
        });
        let suffix = match suffix {
            Some(suffix) => suffix,
            None => {
                self.describe_new(name)?;
                ""
            }
        };
        let Some(open) = &mut self.open else {
            return Err(format!("{name} belongs to no family"));
        };
        open.sampled = true;
        let kind = open.kind.unwrap_or(OpenKind::Unknown);
        check_open_metrics(kind, &open.name, suffix, &sample)?;
        if suffix == "_created" {
            return Ok(());
        }
        let help = open.help.clone().unwrap_or_default();
        let (family, kind, suffix) = match kind {
            OpenKind::Unknown | OpenKind::GaugeHistogram => (name, Kind::Untyped, ""),
            OpenKind::Gauge | OpenKind::Info | OpenKind::StateSet => (name, Kind::Gauge, ""),
            OpenKind::Counter => (name, Kind::Counter, ""),
            OpenKind::Histogram => (open.name.as_str(), Kind::Histogram, suffix),
            OpenKind::Summary => (open.name.as_str(), Kind::Summary, suffix),
        };
        let family = family.to_owned();
        let at = self.family(&family, kind)?;
        if let Some(family) = self.families.get_mut(at) {
            family.set_help(help);
        }
        self.add(at, suffix, sample)
    }

    /// The OpenMetrics family that a metadata line speaks of.
    fn describe(&mut self, name: &str) -> Result<&mut OpenFamily, String> {
        if self.open.as_ref().is_none_or(|it| it.name != name) {
            self.describe_new(name)?;
        }
        match &mut self.open {
            Some(open) if !open.sampled => Ok(open),
            _ => Err(format!("a metadata line of {name} after its samples")),
        }
    }

    fn describe_new(&mut self, name: &str) -> Result<(), String> {
        if !self.open_names.insert(name.to_owned()) {
            return Err(format!("the lines of {name} do not stand together"));
        }
        self.open = Some(OpenFamily {
            name: name.to_owned(),
            kind: None,
            help: None,
            unit: false,
            sampled: false,
        });
        Ok(())
    }

    /// The family with this name, made when there is none.
    fn family(&mut self, name: &str, kind: Kind) -> Result<usize, String> {
        if let Some(&at) = self.by_name.get(name) {
            return Ok(at);
        }
        let family = Family::new(name.to_owned(), kind, "").map_err(|error| error.to_string())?;
        let at = self.families.len();
        self.families.push(family);
        self.by_name.insert(name.to_owned(), at);
        Ok(at)
    }

    /// The known family that a sample's name belongs to, and what the name has beyond the family's.
    fn owner(&self, name: &str) -> Option<(usize, &'static str)> {
        if let Some(&at) = self.by_name.get(name) {
            return Some((at, ""));
        }
        ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| {
                let at = *self.by_name.get(name.strip_suffix(suffix)?)?;
                let has = match self.families.get(at)?.kind() {
                    Kind::Histogram => true,
                    Kind::Summary => suffix != "_bucket",
                    Kind::Counter | Kind::Gauge | Kind::Untyped => false,
                };
                has.then_some((at, suffix))
            })
    }

    /// In strict mode a family that was left is not entered again.
    fn enter(&mut self, at: usize) -> Result<(), String> {
        let again = self.last != Some(at)
            && (self.sampled.contains(&at)
                || self.helped.contains(&at)
                || self.typed.contains(&at));
        if self.strict && again {
            let name = self.families.get(at).map_or("", Family::name);
            return Err(format!("the lines of {name} do not stand together"));
        }
        self.last = Some(at);
        Ok(())
    }

    fn add(&mut self, at: usize, suffix: &str, mut sample: Sample<'_>) -> Result<(), String> {
        let Some(family) = self.families.get_mut(at) else {
            return Err(format!("{} belongs to no family", sample.name));
        };
        let kind = family.kind();
        if kind == Kind::Histogram && suffix.is_empty() {
            return Err(format!(
                "{} is a histogram and has no sample of its own",
                sample.name
            ));
        }
        // As in Prometheus, these labels are no part of what tells one metric from another, wherever they stand.
        let (label, needed) = match kind {
            Kind::Histogram => (Some("le"), suffix == "_bucket"),
            Kind::Summary => (Some("quantile"), suffix.is_empty()),
            Kind::Counter | Kind::Gauge | Kind::Untyped => (None, false),
        };
        let text = label.and_then(|it| sample.labels.remove(it));
        let bound = match (label, text) {
            (Some(label), None) if needed => {
                return Err(format!("{} has no label {label}", sample.name));
            }
            (Some(label), Some(text)) => {
                let bound = crate::number::parse_float(&text);
                Some(bound.ok_or_else(|| {
                    format!(
                        "{text:?} is no number for the label {label} of {}",
                        sample.name
                    )
                })?)
            }
            _ => None,
        };
        let assembled = matches!(kind, Kind::Histogram | Kind::Summary);
        let key = (at, sample.labels);
        let found = (assembled || self.strict)
            .then(|| self.by_labels.get(&key).copied())
            .flatten();
        let place = match found {
            Some(place) => place,
            None => {
                let place = family.metrics.len();
                let value = match kind {
                    Kind::Histogram => Value::Histogram(Box::default()),
                    Kind::Summary => Value::Summary(Box::default()),
                    Kind::Counter | Kind::Gauge | Kind::Untyped => Value::Number(sample.value),
                };
                let mut metric = Metric::new(key.1.clone(), value);
                if let Some(milliseconds) = sample.timestamp {
                    metric.set_timestamp(milliseconds);
                }
                family.metrics.push(metric);
                if assembled || self.strict {
                    self.by_labels.insert(key, place);
                }
                place
            }
        };
        let Some(metric) = family.metrics.get_mut(place) else {
            return Ok(());
        };
        let double = format!("{} is given twice with the same labels", sample.name);
        match &mut metric.value {
            Value::Number(_) if found.is_some() => return Err(double),
            Value::Number(_) => {}
            Value::Histogram(histogram) => fill_histogram(histogram, suffix, bound, sample.value),
            Value::Summary(summary) => fill_summary(summary, suffix, bound, sample.value),
        }
        if let Some(exemplar) = sample.exemplar {
            let value = exemplar.value();
            if bound.is_some_and(|bound| value > bound || value.is_nan()) {
                return Err(format!(
                    "the exemplar of {} is {value}, which is not in its bucket",
                    sample.name
                ));
            }
            if matches!(kind, Kind::Counter | Kind::Histogram) {
                metric.add_exemplar(exemplar);
            }
        }
        Ok(())
    }
}

fn fill_histogram(histogram: &mut Histogram, suffix: &str, bound: Option<f64>, value: f64) {
    match (suffix, bound) {
        ("_sum", _) => histogram.sum = Some(value),
        ("_count", _) => histogram.count = value,
        (_, Some(bound)) => histogram.buckets.push((bound, value)),
        _ => {}
    }
}

fn fill_summary(summary: &mut Summary, suffix: &str, bound: Option<f64>, value: f64) {
    match (suffix, bound) {
        ("_sum", _) => summary.sum = Some(value),
        ("_count", _) => summary.count = value,
        (_, Some(bound)) => summary.quantiles.push((bound, value)),
        _ => {}
    }
}

/// What a sample of a family of this type may be called beyond the family's name.
const fn suffixes(kind: Option<OpenKind>) -> &'static [&'static str] {
    match kind {
        None | Some(OpenKind::Unknown | OpenKind::Gauge | OpenKind::StateSet) => &[""],
        Some(OpenKind::Counter) => &["_total", "_created"],
        Some(OpenKind::Info) => &["_info"],
        Some(OpenKind::Histogram) => &["_bucket", "_count", "_sum", "_created"],
        Some(OpenKind::GaugeHistogram) => &["_bucket", "_gcount", "_gsum"],
        Some(OpenKind::Summary) => &["", "_count", "_sum", "_created"],
    }
}

/// The rules of OpenMetrics 1.0, section "Metric Types".
fn check_open_metrics(
    kind: OpenKind,
    family: &str,
    suffix: &str,
    sample: &Sample<'_>,
) -> Result<(), String> {
    let name = sample.name;
    let value = sample.value;
    let counting = matches!(suffix, "_total" | "_bucket" | "_count" | "_gcount");
    if counting && (value.is_nan() || value < 0.0) {
        return Err(format!("{name} counts and is {value}"));
    }
    if suffix == "_bucket" && sample.labels.get("le").is_none() {
        return Err(format!("{name} has no label le"));
    }
    match kind {
        OpenKind::Info if value != 1.0 => return Err(format!("{name} is an info and not 1")),
        OpenKind::StateSet => {
            if sample.labels.get(family).is_none() {
                return Err(format!("{name} is a stateset and has no label {family}"));
            }
            if value != 0.0 && value != 1.0 {
                return Err(format!("{name} is a stateset and neither 0 nor 1"));
            }
        }
        _ => {}
    }
    if sample.exemplar.is_some() && !matches!(suffix, "_total" | "_bucket") {
        return Err(format!(
            "{name} has an exemplar; only counters and buckets may"
        ));
    }
    Ok(())
}

fn check_histograms(family: &Family) -> Result<(), String> {
    for metric in &family.metrics {
        let Value::Histogram(histogram) = &metric.value else {
            continue;
        };
        let name = family.name();
        let rising = histogram
            .buckets
            .is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        if !rising {
            return Err(format!("the buckets of {name} do not rise"));
        }
        let all = histogram
            .buckets
            .last()
            .filter(|it| it.0 == f64::INFINITY)
            .ok_or_else(|| format!("{name} has no bucket le=\"+Inf\""))?
            .1;
        if all != histogram.count {
            return Err(format!(
                "the bucket le=\"+Inf\" of {name} is {all}, its count {}",
                histogram.count
            ));
        }
    }
    Ok(())
}
