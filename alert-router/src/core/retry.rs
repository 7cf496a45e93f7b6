//! When a failed notification is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::Retry;
use crate::alert::after;

/// No receiver keeps us waiting longer.
const MAX_ASKED: Duration = Duration::from_secs(3600);

/// How far apart tries are: the first pause, each next one half as long again, up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pauses {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    /// By how many percent at most a pause is longer by chance, so that many that failed at once do not all try again at once.
    pub(crate) jitter: u32,
}

impl Pauses {
    /// The time of the next try after `failures` in a row; None when only the group's next notification will try. `seed` is
    /// different for each notification.
    pub(super) fn next(
        &self,
        retry: Retry,
        failures: u32,
        seed: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let pause = match retry {
            Retry::No => return None,
            Retry::After(pause) => pause.min(MAX_ASKED),
            Retry::Backoff => {
                let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(64);
                let factor = 1.5_f64.powi(exponent.min(64));
                // In seconds: the product may be more than a duration holds.
                let pause = self.first.as_secs_f64() * factor;
                Duration::from_secs_f64(pause.min(self.longest.as_secs_f64()))
            }
        };
        // splitmix64's last step spreads the seed.
        let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let share = u32::try_from(mixed >> 32).unwrap_or(0);
        let share = f64::from(share) / f64::from(u32::MAX) * f64::from(self.jitter) / 100.0;
        Some(after(now, pause + pause.mul_f64(share)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Pauses;
    use crate::{alert::since, core::Retry};

    #[test]
    fn pauses() {
        let now = Timestamp::from_second(1000).unwrap();
        let pauses = Pauses {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            jitter: 0,
        };
        for (retry, failures, expect) in [
            (Retry::Backoff, 1, Some(500)),
            (Retry::Backoff, 2, Some(750)),
            (Retry::Backoff, 3, Some(1125)),
            (Retry::Backoff, 100, Some(60_000)),
            (Retry::Backoff, u32::MAX, Some(60_000)),
            (Retry::After(Duration::from_secs(2)), 7, Some(2_000)),
            (
                Retry::After(Duration::from_secs(1_000_000)),
                1,
                Some(3_600_000),
            ),
            (Retry::No, 1, None),
        ] {
            let found = pauses.next(retry, failures, 7, now);
            let expect = expect.map(Duration::from_millis);
            assert_eq!(
                found.map(|it| since(it, now)),
                expect,
                "{retry:?} {failures}"
            );
            for seed in 0..100 {
                let pauses = Pauses {
                    jitter: 20,
                    ..pauses
                };
                let found = pauses.next(retry, failures, seed, now);
                let found = found.map(|it| since(it, now));
                assert!(found >= expect && found <= expect.map(|it| it.mul_f64(1.2)));
            }
        }
    }
}
