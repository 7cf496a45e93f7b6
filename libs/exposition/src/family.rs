//! Families of metrics: what collectors give, what parsers return and what is written.

use std::{borrow::Cow, cmp::Ordering, fmt, sync::Arc};

use crate::{Desc, Exemplar, NameError, is_label_name, is_metric_name};

/// The type of a family, as the text format 0.0.4 knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only goes up, but for restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations in buckets.
    Histogram,
    /// Quantiles of observations.
    Summary,
    /// Nothing is known.
    Untyped,
}

impl Kind {
    /// The word after `# TYPE name` in the text format 0.0.4.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name and its value.
type Pair = (Cow<'static, str>, Cow<'static, str>);

/// A set of labels, sorted by name, each name once. A clone is the same set in the same memory: a thousand metrics with
/// one set cost one set. A change copies a set that others hold too.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(
    /// None when empty, so that equal sets are equal values.
    Option<Arc<[Pair]>>,
);

impl Labels {
    /// No labels.
    pub const EMPTY: Self = Self(None);

    /// A set from pairs in any order.
    ///
    /// # Errors
    /// When a name is wrong or given twice.
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, NameError>
    where
        N: Into<Cow<'static, str>>,
        V: Into<Cow<'static, str>>,
    {
        let mut labels: Vec<Pair> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        labels.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, _) in &labels {
            if !is_label_name(name) {
                return Err(NameError::Label(name.clone().into_owned()));
            }
        }
        for pair in labels.windows(2) {
            if let [(a, _), (b, _)] = pair
                && a == b
            {
                return Err(NameError::DuplicateLabel(a.clone().into_owned()));
            }
        }
        Ok(Self::sorted(labels))
    }

    /// The labels that a description names, with values in its order.
    ///
    /// # Panics
    /// When there are more or fewer values than the [`Desc`] has labels: a mistake in the program, not in its input.
    #[must_use]
    pub fn of_desc(desc: &Desc, values: &[&str]) -> Self {
        Self::of(desc.name, desc.labels, values)
    }

    /// Names were checked by [`Desc`].
    fn of(metric: &str, names: &'static [&'static str], values: &[&str]) -> Self {
        assert_eq!(
            values.len(),
            names.len(),
            "{metric} has the labels {names:?}"
        );
        if names.is_empty() {
            return Self::EMPTY;
        }
        // The number of pairs is known here: they are collected into the shared memory at once.
        let mut pairs: Arc<[Pair]> = names
            .iter()
            .zip(values)
            .map(|(&name, &value)| (Cow::Borrowed(name), Cow::Owned(value.to_owned())))
            .collect();
        if let Some(pairs) = Arc::get_mut(&mut pairs) {
            pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        }
        Self(Some(pairs))
    }

    fn sorted(pairs: Vec<Pair>) -> Self {
        Self((!pairs.is_empty()).then(|| pairs.into()))
    }

    fn pairs(&self) -> &[Pair] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The pairs to change them: moved out of a set that nobody else holds, else copied.
    fn take(&mut self) -> Vec<Pair> {
        let Some(mut pairs) = self.0.take() else {
            return Vec::new();
        };
        match Arc::get_mut(&mut pairs) {
            Some(pairs) => pairs.iter_mut().map(std::mem::take).collect(),
            None => pairs.to_vec(),
        }
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(its, value)| (its == name).then_some(value))
    }

    /// Adds a label, or changes its value.
    ///
    /// # Errors
    /// When the name is wrong.
    pub fn set(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), NameError> {
        let name = name.into();
        if !is_label_name(&name) {
            return Err(NameError::Label(name.into_owned()));
        }
        let mut pairs = self.take();
        match pairs.binary_search_by(|(its, _)| its.cmp(&name)) {
            Ok(at) => {
                if let Some(pair) = pairs.get_mut(at) {
                    pair.1 = value.into();
                }
            }
            Err(at) => pairs.insert(at, (name, value.into())),
        }
        *self = Self::sorted(pairs);
        Ok(())
    }

    /// Takes a label out and gives its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.pairs().iter().position(|(its, _)| its == name)?;
        let mut pairs = self.take();
        let (_, value) = pairs.remove(at);
        *self = Self::sorted(pairs);
        Some(value.into_owned())
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs().iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The order in which Prometheus' client libraries list the metrics of a family: fewer labels first, then by value.
    fn listing(&self, other: &Self) -> Ordering {
        self.len()
            .cmp(&other.len())
            .then_with(|| {
                let mine = self.pairs().iter().map(|(_, value)| value);
                mine.cmp(other.pairs().iter().map(|(_, value)| value))
            })
            .then_with(|| self.cmp(other))
    }
}

/// Observations counted in buckets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds (inclusive) with cumulative counts. The bucket `+Inf` is written from `count` when it is not here.
    pub buckets: Vec<(f64, f64)>,
    /// The sum of all observations; left out when it is not known.
    pub sum: Option<f64>,
    /// The number of observations.
    pub count: f64,
    /// The same observations in exponential buckets. The text formats have no place for them: there a histogram without
    /// other buckets has `+Inf` alone, as Prometheus' client for Go writes it.
    pub native: Option<Native>,
}

/// Buckets of a native histogram, of observations that are not negative.
///
/// The bucket of index `i` counts what is above `base^(i-1)` and not above `base^i`, where `base` is `2^(2^-schema)`
/// (<https://prometheus.io/docs/specs/native_histograms/>).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Native {
    /// How fine the buckets are, from -4 (each 65,536 times as wide as the one before) to 8 (1.0027 times).
    pub schema: i8,
    /// What is not above it is counted in `zero_count`.
    pub zero_threshold: f64,
    /// Observations of zero or close to it.
    pub zero_count: u64,
    /// Indexes of buckets with what is counted in each alone, sorted by index; empty buckets may be left out.
    pub positive: Vec<(i32, u64)>,
}

/// Quantiles of observations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Quantiles (0 to 1) with their values.
    pub quantiles: Vec<(f64, f64)>,
    /// The sum of all observations; left out when it is not known.
    pub sum: Option<f64>,
    /// The number of observations.
    pub count: f64,
}

/// What a metric shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter, gauge or untyped value.
    Number(f64),
    /// A histogram.
    Histogram(Box<Histogram>),
    /// A summary.
    Summary(Box<Summary>),
}

/// One metric of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// What tells it from the others.
    pub labels: Labels,
    /// What it shows.
    pub value: Value,
    /// What few metrics have: a hundred thousand others pay a word for it.
    extra: Option<Box<Extra>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Extra {
    timestamp: Option<i64>,
    exemplars: Vec<Exemplar>,
}

impl Metric {
    /// A metric with these labels.
    #[must_use]
    pub const fn new(labels: Labels, value: Value) -> Self {
        Self {
            labels,
            value,
            extra: None,
        }
    }

    /// Milliseconds since 1970, when the producer gave a time.
    #[must_use]
    pub fn timestamp(&self) -> Option<i64> {
        self.extra.as_ref()?.timestamp
    }

    /// Gives it a time, in milliseconds since 1970.
    pub fn set_timestamp(&mut self, milliseconds: i64) {
        self.extra.get_or_insert_default().timestamp = Some(milliseconds);
    }

    /// Observations to look at.
    #[must_use]
    pub fn exemplars(&self) -> &[Exemplar] {
        self.extra.as_ref().map_or(&[], |it| &it.exemplars)
    }

    /// Adds an observation to look at. A counter shows the last one, a histogram the last one of each bucket; other types have no place
    /// for them, and the text format 0.0.4 has none at all.
    pub fn add_exemplar(&mut self, exemplar: Exemplar) {
        self.extra.get_or_insert_default().exemplars.push(exemplar);
    }
}

/// Metrics of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    name: Cow<'static, str>,
    kind: Kind,
    help: Cow<'static, str>,
    label_names: &'static [&'static str],
    /// The metrics, in any order; [`gather`] sorts them.
    pub metrics: Vec<Metric>,
}

impl Family {
    /// An empty family of a metric known in advance.
    #[must_use]
    pub fn of(desc: &Desc) -> Self {
        Self {
            name: Cow::Borrowed(desc.name),
            kind: desc.kind,
            help: Cow::Borrowed(desc.help),
            label_names: desc.labels,
            metrics: Vec::new(),
        }
    }

    /// A family of one metric without labels.
    #[must_use]
    pub fn single(desc: &Desc, value: f64) -> Self {
        let mut family = Self::of(desc);
        family.push(&[], value);
        family
    }

    /// An empty family whose name is known at run time only.
    ///
    /// # Errors
    /// When the name is no metric name.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        help: impl Into<Cow<'static, str>>,
    ) -> Result<Self, NameError> {
        let name = name.into();
        if !is_metric_name(&name) {
            return Err(NameError::Metric(name.into_owned()));
        }
        Ok(Self {
            name,
            kind,
            help: help.into(),
            label_names: &[],
            metrics: Vec::new(),
        })
    }

    /// The name as Prometheus stores it; a counter's `_total` included.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The help text; empty when there is none.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Gives the family another help text.
    pub fn set_help(&mut self, help: impl Into<Cow<'static, str>>) {
        self.help = help.into();
    }

    pub(crate) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    /// Adds a number with the values of the labels that the [`Desc`] names, in its order.
    ///
    /// # Panics
    /// When there are more or fewer values than the [`Desc`] has labels: a mistake in the program, not in its input.
    pub fn push(&mut self, values: &[&str], value: f64) {
        let labels = self.labels(values);
        self.push_labels(labels, value);
    }

    /// Adds a histogram with the values of the labels of the description, in its order.
    ///
    /// # Panics
    /// When there are more or fewer values than labels.
    pub fn push_histogram(&mut self, values: &[&str], histogram: Histogram) {
        let labels = self.labels(values);
        self.push_value(labels, Value::Histogram(Box::new(histogram)));
    }

    fn labels(&self, values: &[&str]) -> Labels {
        Labels::of(&self.name, self.label_names, values)
    }

    /// Adds a number with labels known at run time only, or shared with other metrics.
    pub fn push_labels(&mut self, labels: Labels, value: f64) {
        self.push_value(labels, Value::Number(value));
    }

    /// Adds a number, a histogram or a summary, which must be what the family's type says.
    pub fn push_value(&mut self, labels: Labels, value: Value) {
        self.metrics.push(Metric::new(labels, value));
    }

    /// The number of the metric with exactly these labels; for tests and for readers of other programs' metrics.
    #[must_use]
    pub fn number(&self, labels: &[(&str, &str)]) -> Option<f64> {
        self.metrics.iter().find_map(|metric| {
            let same = metric.labels.len() == labels.len()
                && labels
                    .iter()
                    .all(|(name, value)| metric.labels.get(name) == Some(value));
            match &metric.value {
                Value::Number(number) if same => Some(*number),
                Value::Number(_) | Value::Histogram(_) | Value::Summary(_) => None,
            }
        })
    }
}

/// Why [`gather`] left something out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two producers gave one name different types.
    #[error("{name} is a {first} and a {second}; the second is left out")]
    Kind {
        /// The name.
        name: String,
        /// The type that stays.
        first: Kind,
        /// The type that is left out.
        second: Kind,
    },
    /// Two producers gave the same metric.
    #[error("{name}{labels} is given twice; the second is left out")]
    Duplicate {
        /// The name.
        name: String,
        /// Its labels as written.
        labels: String,
    },
    /// A metric has the name of a part of another, as `a_count` has of a histogram `a`.
    #[error("{name} is a part of the {kind} {whole}; it is left out as a metric of its own")]
    Part {
        /// The name.
        name: String,
        /// Whose part it is.
        whole: String,
        /// What that is.
        kind: Kind,
    },
}

/// Makes one exposition of what several collectors gave: families sorted by name and merged, metrics sorted by labels, each once.
///
/// What cannot stand beside the rest is left out and reported, so that one bad producer costs its own metrics only.
#[must_use]
pub fn gather(families: Vec<Family>) -> (Vec<Family>, Vec<Conflict>) {
    let mut families = families;
    // Stable: the first of a name decides its type and help text.
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let mut merged: Vec<Family> = Vec::with_capacity(families.len());
    let mut conflicts = Vec::new();
    for mut family in families {
        match merged.last_mut().filter(|it| it.name == family.name) {
            None => merged.push(family),
            Some(first) if first.kind == family.kind => {
                first.metrics.append(&mut family.metrics);
            }
            Some(first) => conflicts.push(Conflict::Kind {
                name: family.name.into_owned(),
                first: first.kind,
                second: family.kind,
            }),
        }
    }
    for family in &mut merged {
        // Stable: of two equal metrics the first given stays.
        family.metrics.sort_by(|a, b| a.labels.listing(&b.labels));
        let name = &family.name;
        family.metrics.dedup_by(|second, first| {
            let same = second.labels == first.labels;
            if same {
                conflicts.push(Conflict::Duplicate {
                    name: name.clone().into_owned(),
                    labels: crate::write::labels_text(&second.labels),
                });
            }
            same
        });
    }
    let parts = parts(&merged);
    merged.retain(|family| {
        let whole = parts.iter().find(|(name, ..)| *name == family.name);
        if let Some((name, whole, kind)) = whole {
            conflicts.push(Conflict::Part {
                name: name.clone(),
                whole: whole.clone(),
                kind: *kind,
            });
        }
        whole.is_none()
    });
    (merged, conflicts)
}

/// The names that histograms and summaries take for their parts, with whose they are.
fn parts(families: &[Family]) -> Vec<(String, String, Kind)> {
    let mut parts = Vec::new();
    for family in families {
        let suffixes: &[&str] = match family.kind {
            Kind::Histogram => &["_bucket", "_count", "_sum"],
            Kind::Summary => &["_count", "_sum"],
            _ => &[],
        };
        let name = &family.name;
        let some = suffixes.iter().map(|it| format!("{name}{it}"));
        parts.extend(some.map(|it| (it, name.to_string(), family.kind)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{Conflict, Family, Kind, Labels, Metric, gather};
    use crate::{Desc, NameError};

    const A: Desc = Desc::new("a", Kind::Gauge, "A.").labels(&["y", "x"]);

    #[test]
    fn labels_are_sorted_and_single() {
        let labels = Labels::new([("b", "2"), ("a", "1")]).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(
            Labels::new([("a", "1"), ("a", "2")]),
            Err(NameError::DuplicateLabel("a".to_owned()))
        );
        assert_eq!(
            Labels::new([("a-b", "1")]),
            Err(NameError::Label("a-b".to_owned()))
        );
        let mut labels = labels;
        labels.set("ab", "3").unwrap();
        labels.set("a", "0").unwrap();
        assert_eq!(labels.remove("b").as_deref(), Some("2"));
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "0"), ("ab", "3")]);
        assert!(labels.set("", "x").is_err());
    }

    #[test]
    fn a_clone_shares_until_it_changes() {
        let one = Labels::of_desc(&A, &["2", "1"]);
        assert_eq!(one, Labels::new([("x", "1"), ("y", "2")]).unwrap());
        let mut two = one.clone();
        assert!(std::ptr::eq(one.pairs().as_ptr(), two.pairs().as_ptr()));
        two.set("x", "9").unwrap();
        assert_eq!((one.get("x"), two.get("x")), (Some("1"), Some("9")));
        assert_eq!(two.remove("none"), None);
        assert_eq!(two.remove("x").as_deref(), Some("9"));
        assert_eq!(two.remove("y").as_deref(), Some("2"));
        assert_eq!(two, Labels::EMPTY);
        assert!(two.is_empty() && two < one);
        assert_eq!(Labels::new::<String, String>([]), Ok(Labels::EMPTY));
    }

    #[test]
    fn gather_merges_sorts_and_reports() {
        let mut one = Family::of(&A);
        one.push(&["2", "1"], 1.0);
        one.push(&["1", "1"], 2.0);
        let mut two = Family::of(&A);
        two.push(&["1", "1"], 3.0);
        let other = Family::new("a", Kind::Counter, "A.").unwrap();
        let first = Family::single(&Desc::new("_first", Kind::Gauge, "F."), 0.0);
        let (families, conflicts) = gather(vec![one, two, other, first]);
        let names: Vec<_> = families.iter().map(Family::name).collect();
        assert_eq!(names, ["_first", "a"]);
        assert_eq!(families[1].metrics.len(), 2);
        assert_eq!(families[1].number(&[("x", "1"), ("y", "1")]), Some(2.0));
        assert_eq!(families[1].metrics[0].labels.get("y"), Some("1"));
        assert_eq!(
            conflicts,
            [
                Conflict::Kind {
                    name: "a".to_owned(),
                    first: Kind::Gauge,
                    second: Kind::Counter
                },
                Conflict::Duplicate {
                    name: "a".to_owned(),
                    labels: r#"{x="1",y="1"}"#.to_owned()
                },
            ]
        );
    }

    #[test]
    fn parts_of_others_are_no_metrics_of_their_own() {
        let whole = Family::new("a", Kind::Histogram, "A.").unwrap();
        let part = Family::new("a_bucket", Kind::Untyped, "").unwrap();
        let other = Family::new("a_total", Kind::Counter, "").unwrap();
        let (families, conflicts) = gather(vec![part, other, whole]);
        let names: Vec<_> = families.iter().map(Family::name).collect();
        assert_eq!(names, ["a", "a_total"]);
        let texts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["a_bucket is a part of the histogram a; it is left out as a metric of its own"]
        );
    }

    /// A scrape of Cassandra has a hundred thousand of them.
    #[test]
    fn a_metric_is_small() {
        assert_eq!(size_of::<Metric>(), 5 * size_of::<usize>());
    }

    #[test]
    fn wrong_number_of_values_is_a_mistake_of_the_program() {
        let result = std::panic::catch_unwind(|| {
            let mut family = Family::of(&A);
            family.push(&["1"], 1.0);
        });
        assert!(result.is_err_and(|it| it.is::<String>()));
        let result = std::panic::catch_unwind(|| Labels::of_desc(&A, &["1", "2", "3"]));
        assert!(result.is_err_and(|it| it.is::<String>()));
    }
}
