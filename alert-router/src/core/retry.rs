//! When a failed notification is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::Retry;
use crate::alert::after;

/// The first pause; each next one is half as long again, up to the last.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(60);
/// No receiver keeps us waiting longer.
const MAX_ASKED: Duration = Duration::from_secs(3600);

/// The time of the next try after `failures` in a row; None when only the group's next notification will try.
pub(super) fn next(retry: Retry, failures: u32, now: Timestamp) -> Option<Timestamp> {
    match retry {
        Retry::No => None,
        Retry::After(pause) => Some(after(now, pause.min(MAX_ASKED))),
        Retry::Backoff => {
            let factor = 1.5_f64.powi(
                i32::try_from(failures.saturating_sub(1))
                    .unwrap_or(64)
                    .min(64),
            );
            Some(after(now, FIRST.mul_f64(factor).min(LAST)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::next;
    use crate::{alert::since, core::Retry};

    #[test]
    fn pauses() {
        let now = Timestamp::from_second(1000).unwrap();
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
            let found = next(retry, failures, now).map(|it| since(it, now));
            assert_eq!(
                found,
                expect.map(Duration::from_millis),
                "{retry:?} {failures}"
            );
        }
    }
}
