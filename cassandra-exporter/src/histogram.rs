//! Histograms of the counts in Cassandra's `EstimatedHistogram`s.
//!
//! Bucket i counts what is above the bound before it and at most its own; bounds are 1, and then each 1.2 times the one before it,
//! rounded, and at least one more. The last count is of what is larger than all bounds (`EstimatedHistogram.newOffsets`, 3.11 to 5.0).

use exposition::{Histogram, Native};

/// More buckets than any of them has.
const MAX_BUCKETS: usize = 240;

/// The bounds of `count` buckets.
fn bounds(count: usize) -> Vec<f64> {
    let mut bounds = Vec::with_capacity(count.min(MAX_BUCKETS));
    let mut last = 1.0_f64;
    while bounds.len() < count.min(MAX_BUCKETS) {
        bounds.push(last);
        let next = (last * 1.2).round();
        last = if next > last { next } else { last + 1.0 };
    }
    bounds
}

/// The bounds that are shown: powers of 4 from `least`, as many as it takes to reach past the largest observation is not known in
/// advance, so always the same ones.
const SHOWN: i32 = 16;

/// A classic histogram, of one bucket for each power of 4.
pub(crate) fn classic(counts: &[f64]) -> Option<Histogram> {
    let (overflow, counts) = counts.split_last()?;
    let mut shown: Vec<_> = (0..=SHOWN).map(|it| (4_f64.powi(it), 0.0)).collect();
    let mut total = 0.0;
    for (bound, count) in bounds(counts.len()).into_iter().zip(counts) {
        total += count;
        // Every bound that is not below this one has all of it.
        for (its, sum) in &mut shown {
            if *its >= bound {
                *sum += count;
            }
        }
    }
    Some(Histogram {
        buckets: shown,
        sum: None,
        count: total + overflow,
        native: None,
    })
}

/// Buckets four to a power of two: a little narrower than Cassandra's own.
const SCHEMA: i8 = 2;

/// A native histogram: each of Cassandra's buckets is counted in the one that its upper bound falls into.
pub(crate) fn native(counts: &[f64]) -> Option<Histogram> {
    let (overflow, counts) = counts.split_last()?;
    let mut positive: Vec<(i32, u64)> = Vec::new();
    let mut all = bounds(counts.len());
    let mut total = 0.0;
    // What is larger than all is counted as just that.
    let largest = all.last().map_or(1.0, |it| it * 1.2);
    all.push(largest);
    for (bound, count) in all.into_iter().zip(counts.iter().chain([overflow])) {
        if *count < 1.0 {
            continue;
        }
        total += count;
        // The index of the bucket (2^((i-1)/4), 2^(i/4)].
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a logarithm of a float is small"
        )]
        let index = (bound.log2() * f64::from(1_i32 << SCHEMA)).ceil() as i32;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that is not below 1; more than there are saturate"
        )]
        let count = *count as u64;
        match positive.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.saturating_add(count),
            _ => positive.push((index, count)),
        }
    }
    Some(Histogram {
        buckets: Vec::new(),
        sum: None,
        count: total,
        native: Some(Native {
            schema: SCHEMA,
            zero_threshold: 0.0,
            zero_count: 0,
            positive,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::{bounds, classic, native};

    #[test]
    fn bounds_are_cassandras() {
        // As `new EstimatedHistogram(90).getBucketOffsets()` begins, and the end of 155 buckets.
        let found = bounds(155);
        let expect = [
            1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 24.0, 29.0, 35.0,
        ];
        assert_eq!(found[..16], expect);
        assert_eq!(found.last(), Some(&3_520_571_548_412.0));
    }

    #[test]
    fn counts_land_in_their_buckets() {
        // Two of at most 1, three of 10, one that is larger than all.
        let mut counts = vec![0.0; 156];
        (counts[0], counts[8], counts[155]) = (2.0, 3.0, 1.0);
        let histogram = classic(&counts).unwrap();
        assert_eq!(histogram.count, 6.0);
        assert_eq!(
            histogram.buckets[..3],
            [(1.0, 2.0), (4.0, 2.0), (16.0, 5.0)]
        );
        assert_eq!(histogram.buckets.last().unwrap().1, 5.0);
        let histogram = native(&counts).unwrap();
        assert_eq!(histogram.count, 6.0);
        let native = histogram.native.unwrap();
        assert_eq!(native.positive[..2], [(0, 2), (14, 3)]);
        assert_eq!(native.positive.len(), 3);
        assert_eq!(classic(&[]), None);
        assert_eq!(super::native(&[]), None);
    }
}
