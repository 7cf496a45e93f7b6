//! Time intervals (Alertmanager's `time_intervals`): whether a moment lies within times of day, weekdays, days of the month, months
//! and years of a zone.

use std::ops::RangeInclusive;

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// A name, and the times that it stands for.
#[derive(Debug, Clone)]
pub(crate) struct TimeIntervals {
    pub(crate) name: String,
    pub(crate) intervals: Vec<TimeInterval>,
}

/// A moment lies within it when it does so in every respect that is given. Of a list, one entry is enough; an empty list has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimeInterval {
    /// Minutes of the day, the last one excluded.
    pub(crate) times: Option<Vec<TimeRange>>,
    /// 0 is Sunday.
    pub(crate) weekdays: Option<Vec<RangeInclusive<i64>>>,
    /// Negative ones count from the month's end, at which -1 is.
    pub(crate) days_of_month: Option<Vec<RangeInclusive<i64>>>,
    pub(crate) months: Option<Vec<RangeInclusive<i64>>>,
    pub(crate) years: Option<Vec<RangeInclusive<i64>>>,
    /// UTC when it is not given.
    pub(crate) location: Option<TimeZone>,
}

/// Minutes of a day, from the first until before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// What ranges are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeOf {
    Weekdays,
    DaysOfMonth,
    Months,
    Years,
}

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The shortest month has as many days.
const SHORTEST_MONTH: i64 = 28;

impl TimeIntervals {
    /// Whether the moment lies within one of them.
    pub(crate) fn contains(&self, now: Timestamp) -> bool {
        self.intervals.iter().any(|it| it.contains(now))
    }
}

impl TimeInterval {
    fn contains(&self, now: Timestamp) -> bool {
        let zone = self.location.clone().unwrap_or(TimeZone::UTC);
        let now = now.to_zoned(zone);
        let within = |ranges: &Option<Vec<RangeInclusive<i64>>>, value: i64| match ranges {
            None => true,
            Some(ranges) => ranges.iter().any(|it| it.contains(&value)),
        };
        let minute = i64::from(now.hour()) * 60 + i64::from(now.minute());
        let times = self.times.as_ref();
        times.is_none_or(|it| it.iter().any(|it| it.start <= minute && minute < it.end))
            && (self.days_of_month.as_ref())
                .is_none_or(|it| it.iter().any(|it| contains_day(it, &now)))
            && within(&self.months, i64::from(now.month()))
            && within(
                &self.weekdays,
                i64::from(now.weekday().to_sunday_zero_offset()),
            )
            && within(&self.years, i64::from(now.year()))
    }
}

/// A range that begins after the month's end has no day in it; one that ends there, or begins before its first day, is cut.
fn contains_day(range: &RangeInclusive<i64>, now: &Zoned) -> bool {
    let length = i64::from(now.days_in_month());
    let of_month = |day: i64| if day < 0 { length + day + 1 } else { day };
    let (begin, end) = (of_month(*range.start()), of_month(*range.end()));
    (begin..=end.min(length)).contains(&i64::from(now.day()))
}

impl TimeRange {
    /// Reads `09:00` and `24:00`.
    pub(crate) fn parse(start: &str, end: &str) -> Result<Self, String> {
        if start.is_empty() || end.is_empty() {
            return Err("times: start_time and end_time are both needed".to_owned());
        }
        let minute = |key, text| {
            minute_of_day(text).ok_or_else(|| {
                format!("times.{key}: {text:?} is no time of day such as 09:00 or 24:00")
            })
        };
        let range = Self {
            start: minute("start_time", start)?,
            end: minute("end_time", end)?,
        };
        if range.start >= range.end {
            return Err(format!(
                "times: {start} is not before {end}; a night is two ranges, one until 24:00 and one from 00:00"
            ));
        }
        Ok(range)
    }
}

fn minute_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |it: &str| {
        let is_number = it.len() == 2 && it.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| it.parse::<i64>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60 || hour == 24 && minute == 0).then_some(hour * 60 + minute)
}

impl RangeOf {
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Weekdays => "weekdays",
            Self::DaysOfMonth => "days_of_month",
            Self::Months => "months",
            Self::Years => "years",
        }
    }

    /// Reads `monday`, `monday:friday`, `1:5`, `-3:-1`, `january:march`, `2030`.
    pub(crate) fn parse(self, text: &str) -> Result<RangeInclusive<i64>, String> {
        let lower = text.to_lowercase();
        let (begin, end) = lower.split_once(':').unwrap_or((&lower, &lower));
        let member = |it: &str| {
            self.member(it).ok_or_else(|| {
                let such = match self {
                    Self::Weekdays => "weekday such as monday, or range of them, monday:friday",
                    Self::DaysOfMonth => "day of a month such as 1 or -1, or range of them, 1:5",
                    Self::Months => "month such as january or 1, or range of them, january:march",
                    Self::Years => "year such as 2030, or range of them, 2030:2032",
                };
                format!("{}: {text:?} is no {such}", self.key())
            })
        };
        let (begin, end) = (member(begin)?, member(end)?);
        // Of negative days nobody knows, but what is wrong in every month is.
        let from_start = |it: i64| if it < 0 { SHORTEST_MONTH + it } else { it };
        let wrong = match self {
            Self::DaysOfMonth => begin < 0 && end > 0 || from_start(begin) > from_start(end),
            Self::Weekdays | Self::Months | Self::Years => begin > end,
        };
        if wrong {
            return Err(format!("{}: {text:?} ends before it begins", self.key()));
        }
        Ok(begin..=end)
    }

    fn member(self, text: &str) -> Option<i64> {
        let position = |names: &[&str]| {
            let at = names.iter().position(|it| *it == text)?;
            i64::try_from(at).ok()
        };
        match self {
            Self::Weekdays => position(&WEEKDAYS),
            Self::DaysOfMonth => {
                let day = text.parse().ok()?;
                (day != 0 && (-31..=31).contains(&day)).then_some(day)
            }
            Self::Months => position(&MONTHS)
                .map(|it| it + 1)
                .or_else(|| text.parse().ok()),
            Self::Years => text.parse().ok(),
        }
    }

    /// The range as Alertmanager writes it.
    pub(crate) fn text(self, range: &RangeInclusive<i64>) -> String {
        let member = |it: i64| match (self, usize::try_from(it)) {
            (Self::Weekdays, Ok(at)) => WEEKDAYS.get(at).unwrap_or(&"").to_string(),
            _ => it.to_string(),
        };
        let (begin, end) = (*range.start(), *range.end());
        if begin == end {
            member(begin)
        } else {
            format!("{}:{}", member(begin), member(end))
        }
    }
}

/// A zone by its name in the IANA's database, `UTC`, or `Local` for this machine's.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "UTC" => Some(TimeZone::UTC),
        "Local" => Some(TimeZone::system()),
        // The crate does not look at the case, Go does.
        _ => TimeZone::get(name)
            .ok()
            .filter(|it| it.iana_name() == Some(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::{RangeOf, TimeInterval, TimeIntervals, TimeRange, zone};

    /// `times weekdays days months years zone`, each `-` when it is not given.
    fn interval(text: &str) -> TimeInterval {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let list = |at: usize| {
            let given = parts.get(at).filter(|it| **it != "-")?;
            Some(given.split(',').filter(|it| *it != "none"))
        };
        let ranges = |at, of: RangeOf| Some(list(at)?.map(|it| of.parse(it).unwrap()).collect());
        TimeInterval {
            times: list(0).map(|it| {
                it.map(|it| it.split_once('-').unwrap())
                    .map(|(start, end)| TimeRange::parse(start, end).unwrap())
                    .collect()
            }),
            weekdays: ranges(1, RangeOf::Weekdays),
            days_of_month: ranges(2, RangeOf::DaysOfMonth),
            months: ranges(3, RangeOf::Months),
            years: ranges(4, RangeOf::Years),
            location: parts
                .get(5)
                .filter(|it| **it != "-")
                .map(|it| zone(it).unwrap()),
        }
    }

    /// Right column: as Alertmanager's package `timeinterval` answers.
    #[test]
    fn moments() {
        for (text, now, expect) in [
            ("- - - - - -", "2026-03-04T12:00:00Z", true),
            ("09:00-17:00 - - - - -", "2026-03-04T09:00:00Z", true),
            ("09:00-17:00 - - - - -", "2026-03-04T16:59:59Z", true),
            ("09:00-17:00 - - - - -", "2026-03-04T17:00:00Z", false),
            ("22:00-24:00 - - - - -", "2026-03-04T23:59:59Z", true),
            (
                "00:00-06:00,22:00-24:00 - - - - -",
                "2026-03-04T05:00:00Z",
                true,
            ),
            ("none - - - - -", "2026-03-04T05:00:00Z", false),
            // A Wednesday.
            ("- monday:friday - - - -", "2026-03-04T12:00:00Z", true),
            ("- saturday,sunday - - - -", "2026-03-04T12:00:00Z", false),
            ("- Sunday - - - -", "2026-03-08T12:00:00Z", true),
            ("- - 1:5 - - -", "2026-03-04T12:00:00Z", true),
            ("- - -3:-1 - - -", "2026-02-26T12:00:00Z", true),
            ("- - -3:-1 - - -", "2026-02-25T12:00:00Z", false),
            ("- - -1 - - -", "2028-02-29T12:00:00Z", true),
            // Cut at the month's length, or beyond it altogether.
            ("- - 29:31 - - -", "2026-02-28T12:00:00Z", false),
            ("- - 28:31 - - -", "2026-02-28T12:00:00Z", true),
            ("- - -31:-30 - - -", "2026-02-01T12:00:00Z", false),
            ("- - -31:-28 - - -", "2026-02-01T12:00:00Z", true),
            ("- - 5:-5 - - -", "2026-02-24T12:00:00Z", true),
            ("- - 5:-5 - - -", "2026-02-25T12:00:00Z", false),
            ("- - - january:march - -", "2026-03-04T12:00:00Z", true),
            ("- - - 4:6,december - -", "2026-03-04T12:00:00Z", false),
            ("- - - - 2025:2026 -", "2026-03-04T12:00:00Z", true),
            ("- - - - 2027 -", "2026-03-04T12:00:00Z", false),
            // The zone rules over hour, day, month and year.
            (
                "09:00-10:00 - - - - Europe/Berlin",
                "2026-01-04T08:30:00Z",
                true,
            ),
            (
                "09:00-10:00 - - - - Europe/Berlin",
                "2026-07-04T08:30:00Z",
                false,
            ),
            ("- thursday - - - Asia/Tokyo", "2026-03-04T20:00:00Z", true),
            (
                "- - - january 2027 Australia/Sydney",
                "2026-12-31T14:00:00Z",
                true,
            ),
            // An hour that is there twice, and one that is not there.
            (
                "02:00-03:00 - - - - Europe/Berlin",
                "2026-10-25T00:30:00Z",
                true,
            ),
            (
                "02:00-03:00 - - - - Europe/Berlin",
                "2026-10-25T01:30:00Z",
                true,
            ),
            (
                "02:00-03:00 - - - - Europe/Berlin",
                "2026-03-29T01:00:00Z",
                false,
            ),
            // The last day of a month that lost an hour.
            ("- - -1 - - Europe/Berlin", "2026-03-31T12:00:00Z", true),
        ] {
            let intervals = TimeIntervals {
                name: "x".to_owned(),
                intervals: vec![interval(text)],
            };
            let found = intervals.contains(now.parse().unwrap());
            assert_eq!(found, expect, "{text} at {now}");
        }
    }

    #[test]
    fn ranges() {
        use RangeOf::{DaysOfMonth, Months, Weekdays, Years};
        for (of, text, expect) in [
            (Weekdays, "Monday:FRIDAY", Ok("monday:friday")),
            (Weekdays, "sunday:sunday", Ok("sunday")),
            (
                Weekdays,
                "friday:monday",
                Err("weekdays: \"friday:monday\" ends before it begins"),
            ),
            (
                Weekdays,
                "1",
                Err(
                    "weekdays: \"1\" is no weekday such as monday, or range of them, monday:friday",
                ),
            ),
            (DaysOfMonth, "1:31", Ok("1:31")),
            (DaysOfMonth, "-1", Ok("-1")),
            (DaysOfMonth, "+3", Ok("3")),
            (DaysOfMonth, "5:-5", Ok("5:-5")),
            (
                DaysOfMonth,
                "25:-5",
                Err("days_of_month: \"25:-5\" ends before it begins"),
            ),
            (
                DaysOfMonth,
                "-5:5",
                Err("days_of_month: \"-5:5\" ends before it begins"),
            ),
            (
                DaysOfMonth,
                "0",
                Err(
                    "days_of_month: \"0\" is no day of a month such as 1 or -1, or range of them, 1:5",
                ),
            ),
            (
                DaysOfMonth,
                "32",
                Err(
                    "days_of_month: \"32\" is no day of a month such as 1 or -1, or range of them, 1:5",
                ),
            ),
            (
                DaysOfMonth,
                "1:2:3",
                Err(
                    "days_of_month: \"1:2:3\" is no day of a month such as 1 or -1, or range of them, 1:5",
                ),
            ),
            (Months, "january:3", Ok("1:3")),
            (
                Months,
                "may:april",
                Err("months: \"may:april\" ends before it begins"),
            ),
            (
                Months,
                "smarch",
                Err(
                    "months: \"smarch\" is no month such as january or 1, or range of them, january:march",
                ),
            ),
            (Years, "2030:2031", Ok("2030:2031")),
            (
                Years,
                "x",
                Err("years: \"x\" is no year such as 2030, or range of them, 2030:2032"),
            ),
        ] {
            let found = of.parse(text).map(|it| of.text(&it));
            let found = found.as_ref().map(String::as_str).map_err(String::as_str);
            assert_eq!(found, expect, "{text}");
        }
        for (start, end, expect) in [
            ("00:00", "24:00", true),
            ("09:00", "17:30", true),
            ("17:00", "09:00", false),
            ("09:00", "09:00", false),
            ("24:00", "24:00", false),
            ("9:00", "17:00", false),
            ("09:60", "17:00", false),
            ("09:00", "24:01", false),
            ("09:00", "25:00", false),
            ("", "25:00", false),
        ] {
            let found = TimeRange::parse(start, end);
            assert_eq!(found.is_ok(), expect, "{start} {end}");
        }
        for (name, expect) in [
            ("Europe/Berlin", true),
            ("Local", true),
            ("UTC", true),
            ("europe/berlin", false),
            ("Mars/Olympus", false),
            ("../etc/passwd", false),
        ] {
            assert_eq!(zone(name).is_some(), expect, "{name}");
        }
    }
}
