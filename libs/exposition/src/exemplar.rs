//! Exemplars: one observation of those that a metric counts, with labels that lead to more about it, such as a trace
//! (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md#exemplars>).

use crate::Labels;

/// An observation to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    labels: Labels,
    value: f64,
    timestamp: Option<i64>,
}

/// The labels of an exemplar have more characters than readers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the labels of an exemplar have {0} characters, {max} are allowed", max = Exemplar::MAX_CHARACTERS)]
pub struct LongExemplar(pub usize);

impl Exemplar {
    /// Characters of all names and values of its labels together, at most.
    pub const MAX_CHARACTERS: usize = 128;

    /// What was observed, and when, in milliseconds since 1970. Native histograms only take those with a time.
    ///
    /// # Errors
    /// When the labels are too long.
    pub fn new(labels: Labels, value: f64, timestamp: Option<i64>) -> Result<Self, LongExemplar> {
        let characters = labels
            .iter()
            .map(|(name, value)| name.chars().count() + value.chars().count())
            .sum();
        if characters > Self::MAX_CHARACTERS {
            return Err(LongExemplar(characters));
        }
        Ok(Self {
            labels,
            value,
            timestamp,
        })
    }

    /// Where more is to be found.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What was observed; of a counter, by how much it went up.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }
}

/// Each bucket of a classic histogram, by its bound, with its count and the last of these exemplars that falls into it, although those
/// of lower buckets are counted in it, too. The bucket `+Inf` comes with `count` where it is not among them.
pub(crate) fn by_bucket<'a>(
    buckets: &'a [(f64, f64)],
    count: f64,
    exemplars: &'a [Exemplar],
) -> impl Iterator<Item = (f64, f64, Option<&'a Exemplar>)> {
    let is_whole = buckets.last().is_some_and(|it| it.0 == f64::INFINITY);
    let rest = (!is_whole).then_some((f64::INFINITY, count));
    let mut below = None;
    buckets
        .iter()
        .copied()
        .chain(rest)
        .map(move |(bound, count)| {
            let falls =
                |it: &&Exemplar| it.value <= bound && below.is_none_or(|below| it.value > below);
            let exemplar = exemplars.iter().rfind(falls);
            below = Some(bound);
            (bound, count, exemplar)
        })
}

#[cfg(test)]
mod tests {
    use super::{Exemplar, LongExemplar, by_bucket};
    use crate::Labels;

    fn of(id: &str, value: f64) -> Exemplar {
        let labels = Labels::new([("id", id.to_owned())]).unwrap();
        Exemplar::new(labels, value, None).unwrap()
    }

    #[test]
    fn labels_are_bounded() {
        let of =
            |value: String| Exemplar::new(Labels::new([("trace_id", value)]).unwrap(), 1.0, None);
        assert!(of("é".repeat(120)).is_ok());
        let error = of("é".repeat(121)).unwrap_err();
        assert_eq!(error, LongExemplar(129));
        assert_eq!(
            error.to_string(),
            "the labels of an exemplar have 129 characters, 128 are allowed"
        );
    }

    #[test]
    fn buckets_that_they_fall_into() {
        fn check(buckets: &[(f64, f64)], all: &[Exemplar], expect: &[(f64, f64, Option<&str>)]) {
            let found: Vec<_> = by_bucket(buckets, 9.0, all)
                .map(|(bound, count, its)| (bound, count, its.and_then(|it| it.labels().get("id"))))
                .collect();
            assert_eq!(found, expect);
        }
        let all = [
            of("a", 0.5),
            of("b", 7.0),
            of("c", 0.1),
            of("d", f64::NAN),
            of("e", 1.0),
        ];
        let rest = f64::INFINITY;
        check(
            &[(0.5, 1.0), (1.0, 2.0), (2.0, 3.0)],
            &all,
            &[
                (0.5, 1.0, Some("c")),
                (1.0, 2.0, Some("e")),
                (2.0, 3.0, None),
                (rest, 9.0, Some("b")),
            ],
        );
        check(
            &[(1.0, 1.0), (rest, 2.0)],
            &all,
            &[(1.0, 1.0, Some("e")), (rest, 2.0, Some("b"))],
        );
        check(&[], &all, &[(rest, 9.0, Some("e"))]);
        check(&[], &[], &[(rest, 9.0, None)]);
    }
}
