//! Go's times: layouts (`time.Format`, `time.Parse`), zones, durations and the methods that templates call.

use std::fmt;

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};

use super::value::{Bytes, Int, Value};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A moment, and where its clock hangs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Time {
    pub(crate) at: Timestamp,
    pub(super) zone: Zone,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Zone {
    Utc,
    /// By its name in the database of time zones.
    Named(String, TimeZone),
    /// Seconds east of Greenwich, and perhaps a name.
    Fixed(String, i32),
}

impl Zone {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Utc => "UTC",
            Self::Named(name, _) | Self::Fixed(name, _) => name,
        }
    }

    /// Seconds east of Greenwich, and the abbreviation.
    fn at(&self, at: Timestamp) -> (i32, String) {
        match self {
            Self::Utc => (0, "UTC".to_owned()),
            Self::Fixed(name, offset) => (*offset, name.clone()),
            Self::Named(_, zone) => {
                let info = zone.to_offset_info(at);
                (info.offset().seconds(), info.abbreviation().to_owned())
            }
        }
    }

    /// As `time.LoadLocation` finds it.
    pub(super) fn load(name: &str) -> Result<Self, String> {
        if matches!(name, "" | "UTC") {
            return Ok(Self::Utc);
        }
        if name == "Local" {
            return Ok(Self::local());
        }
        let zone = TimeZone::get(name).map_err(|_unknown| format!("unknown time zone {name}"))?;
        Ok(Self::Named(name.to_owned(), zone))
    }

    pub(super) fn local() -> Self {
        Self::Named("Local".to_owned(), TimeZone::system())
    }
}

/// `time.Time`'s String.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

impl Time {
    pub(crate) const fn utc(at: Timestamp) -> Self {
        Self {
            at,
            zone: Zone::Utc,
        }
    }

    fn offset(&self) -> i32 {
        self.zone.at(self.at).0
    }

    fn civil(&self) -> DateTime {
        let offset = Offset::from_seconds(self.offset()).unwrap_or(Offset::UTC);
        offset.to_datetime(self.at)
    }

    pub(super) fn rfc3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    pub(super) fn go_string(&self) -> String {
        let it = self.civil();
        let month = MONTHS
            .get(usize::from(it.month().unsigned_abs()).wrapping_sub(1))
            .copied()
            .unwrap_or_default();
        let zone = match &self.zone {
            Zone::Utc => "time.UTC".to_owned(),
            Zone::Named(name, _) if name == "Local" => "time.Local".to_owned(),
            zone => format!("time.Location({:?})", zone.name()),
        };
        format!(
            "time.Date({}, time.{month}, {}, {}, {}, {}, {}, {zone})",
            it.year(),
            it.day(),
            it.hour(),
            it.minute(),
            it.second(),
            it.subsec_nanosecond()
        )
    }

    /// As `Time.Format` writes it.
    pub(crate) fn format(&self, layout: &str) -> String {
        let civil = self.civil();
        let (offset, abbreviation) = self.zone.at(self.at);
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let (before, element, after) = next_element(rest);
            out.push_str(before);
            if let Some(element) = element {
                push_element(&mut out, element, civil, offset, &abbreviation);
            }
            rest = after;
        }
        out
    }

    /// What a method gives; None when there is no such method, Some(Err) when it fails.
    pub(super) fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let civil = self.civil();
        let int = |it: i64| Value::Int(Int::Plain, it);
        let int64 = |it: i64| Value::Int(Int::Wide, it);
        let other = || match arguments.first() {
            Some(Value::Time(it)) => it.at,
            _ => self.at,
        };
        let number = |at: usize| match arguments.get(at) {
            Some(Value::Int(_, it)) => *it,
            _ => 0,
        };
        let moved = |zone: Zone| Value::Time(Self { at: self.at, zone });
        Some(Ok(match name {
            "String" => Value::text(self.to_string()),
            "GoString" => Value::text(self.go_string()),
            "Format" => match arguments.first() {
                Some(Value::Text(_, layout)) => {
                    Value::text(self.format(&String::from_utf8_lossy(layout)))
                }
                _ => Value::text(""),
            },
            "Unix" => int64(self.at.as_second()),
            "UnixMilli" => int64(self.at.as_millisecond()),
            "UnixMicro" => int64(self.at.as_microsecond()),
            "UnixNano" => int64(i64::try_from(self.at.as_nanosecond()).unwrap_or_default()),
            "UTC" => moved(Zone::Utc),
            "Local" => moved(Zone::local()),
            "In" => match arguments.first() {
                Some(Value::Location(zone)) => moved(zone.clone()),
                _ => return None,
            },
            "Location" => Value::Location(self.zone.clone()),
            "Year" => int(i64::from(civil.year())),
            "Month" => Value::Int(Int::Month, i64::from(civil.month())),
            "Day" => int(i64::from(civil.day())),
            "Hour" => int(i64::from(civil.hour())),
            "Minute" => int(i64::from(civil.minute())),
            "Second" => int(i64::from(civil.second())),
            "Nanosecond" => int(i64::from(civil.subsec_nanosecond())),
            "Weekday" => Value::Int(
                Int::Weekday,
                i64::from(civil.date().weekday().to_sunday_zero_offset()),
            ),
            "YearDay" => int(i64::from(civil.date().day_of_year())),
            "IsZero" => Value::Bool(self.at == zero()),
            "IsDST" => Value::Bool(match &self.zone {
                Zone::Named(_, zone) => zone.to_offset_info(self.at).dst().is_dst(),
                Zone::Utc | Zone::Fixed(..) => false,
            }),
            "After" => Value::Bool(self.at > other()),
            "Before" => Value::Bool(self.at < other()),
            "Equal" => Value::Bool(self.at == other()),
            "Compare" => int(match self.at.cmp(&other()) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            }),
            "Sub" => {
                let nanos = self.at.as_nanosecond() - other().as_nanosecond();
                let clamped = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
                Value::Int(Int::Duration, i64::try_from(clamped).unwrap_or_default())
            }
            "Add" => self.plus(SignedDuration::from_nanos(number(0))),
            "AddDate" => self.plus_date(number(0), number(1), number(2)),
            "Truncate" => self.rounded(number(0), false),
            "Round" => self.rounded(number(0), true),
            _ => return None,
        }))
    }

    fn plus(&self, duration: SignedDuration) -> Value {
        let at = self.at.saturating_add(duration).unwrap_or(self.at);
        Value::Time(Self {
            at,
            zone: self.zone.clone(),
        })
    }

    /// Dates past a month's end go on into the next, as in Go.
    fn plus_date(&self, years: i64, months: i64, days: i64) -> Value {
        let civil = self.civil();
        let months = i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1
            + years.saturating_mul(12).saturating_add(months);
        let year = i16::try_from(months.div_euclid(12)).unwrap_or(9999);
        let month = i8::try_from(months.rem_euclid(12) + 1).unwrap_or(1);
        let moved = Date::new(year, month, 1).ok().and_then(|first| {
            let days = days.saturating_add(i64::from(civil.day()) - 1);
            first
                .checked_add(days.clamp(-4_000_000, 4_000_000).days())
                .ok()
        });
        let at = moved.and_then(|date| self.at_civil(date.to_datetime(civil.time())));
        Value::Time(Self {
            at: at.unwrap_or(self.at),
            zone: self.zone.clone(),
        })
    }

    /// The moment when a clock in this zone shows a time.
    fn at_civil(&self, civil: DateTime) -> Option<Timestamp> {
        moment(&self.zone, civil)
    }

    /// To a multiple of nanoseconds since the year 1.
    fn rounded(&self, step: i64, nearest: bool) -> Value {
        let mut at = self.at;
        if step > 0 {
            let since = self.at.as_nanosecond() - zero().as_nanosecond();
            let rest = since.rem_euclid(i128::from(step));
            let up = nearest && rest * 2 >= i128::from(step);
            let moved = self.at.as_nanosecond() - rest + if up { i128::from(step) } else { 0 };
            at = Timestamp::from_nanosecond(moved).unwrap_or(at);
        }
        Value::Time(Self {
            at,
            zone: self.zone.clone(),
        })
    }
}

fn moment(zone: &Zone, civil: DateTime) -> Option<Timestamp> {
    match zone {
        Zone::Utc => Offset::UTC.to_timestamp(civil).ok(),
        Zone::Fixed(_, offset) => Offset::from_seconds(*offset).ok()?.to_timestamp(civil).ok(),
        Zone::Named(_, zone) => Some(zone.to_zoned(civil).ok()?.timestamp()),
    }
}

/// Go's zero time: the first second of the year 1.
pub(super) fn zero() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::MIN)
}

pub(super) fn month(number: i64) -> String {
    let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let name = MONTHS.get(at).map(|it| (*it).to_owned());
    name.unwrap_or_else(|| format!("%!Month({number})"))
}

pub(super) fn weekday(number: i64) -> String {
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    let name = DAYS.get(at).map(|it| (*it).to_owned());
    name.unwrap_or_else(|| format!("%!Weekday({number})"))
}

/// `time.Duration`'s String: `1h2m3.5s`, `1.5ms`.
pub(super) fn duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let value = nanos.unsigned_abs();
    if value == 0 {
        return "0s".to_owned();
    }
    let fraction = |value: u64, digits: usize| {
        let unit = 10_u64.pow(u32::try_from(digits).unwrap_or(0));
        let rest = format!("{:0digits$}", value % unit);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{}{point}{rest}", value / unit)
    };
    if value < 1_000_000_000 {
        let (text, unit) = match value {
            0..1000 => (value.to_string(), "ns"),
            1000..1_000_000 => (fraction(value, 3), "µs"),
            _ => (fraction(value, 6), "ms"),
        };
        return format!("{sign}{text}{unit}");
    }
    let seconds = value / 1_000_000_000;
    let minutes = seconds / 60;
    let hours = minutes / 60;
    let last = fraction(value % 60_000_000_000, 9);
    if hours > 0 {
        format!("{sign}{hours}h{}m{last}s", minutes % 60)
    } else if minutes > 0 {
        format!("{sign}{minutes}m{last}s")
    } else {
        format!("{sign}{last}s")
    }
}

/// What a duration's method gives.
pub(super) fn duration_call(
    nanos: i64,
    name: &str,
    arguments: &[Value],
) -> Option<Result<Value, String>> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "as in Go: whole units and their rest"
    )]
    let float = |unit: i64| (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64;
    let step = match arguments.first() {
        Some(Value::Int(_, it)) => *it,
        _ => 0,
    };
    let duration_of = |it: i64| Value::Int(Int::Duration, it);
    Some(Ok(match name {
        "String" => Value::text(duration(nanos)),
        "Hours" => Value::Float(float(3_600_000_000_000)),
        "Minutes" => Value::Float(float(60_000_000_000)),
        "Seconds" => Value::Float(float(1_000_000_000)),
        "Milliseconds" => Value::Int(Int::Wide, nanos / 1_000_000),
        "Microseconds" => Value::Int(Int::Wide, nanos / 1000),
        "Nanoseconds" => Value::Int(Int::Wide, nanos),
        "Abs" => duration_of(nanos.saturating_abs()),
        "Truncate" if step <= 0 => duration_of(nanos),
        "Truncate" => duration_of(nanos - nanos % step),
        "Round" if step <= 0 => duration_of(nanos),
        "Round" => {
            // Half goes away from zero.
            let rest = nanos % step;
            let up = rest.unsigned_abs() * 2 >= step.unsigned_abs();
            let near = nanos - rest;
            duration_of(match (up, nanos < 0) {
                (false, _) => near,
                (true, false) => near.saturating_add(step),
                (true, true) => near.saturating_sub(step),
            })
        }
        _ => return None,
    }))
}

/// A part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    LongMonth,
    ShortMonth,
    NumberMonth,
    ZeroMonth,
    LongDay,
    ShortDay,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour24,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    BigPm,
    SmallPm,
    Abbreviation,
    /// Sign, with `Z` for zero, with colons, with minutes, with seconds.
    Offset(bool, bool, bool, bool),
    /// `.000`: so many digits, after a point or a comma.
    Fraction(usize, char),
    /// `.999`: without zeros at the end.
    ShortFraction(usize, char),
}

const ELEMENTS: [(&str, Element); 33] = [
    ("January", Element::LongMonth),
    ("Jan", Element::ShortMonth),
    ("Monday", Element::LongDay),
    ("Mon", Element::ShortDay),
    ("MST", Element::Abbreviation),
    ("002", Element::ZeroYearDay),
    ("01", Element::ZeroMonth),
    ("02", Element::ZeroDay),
    ("03", Element::ZeroHour12),
    ("04", Element::ZeroMinute),
    ("05", Element::ZeroSecond),
    ("06", Element::Year),
    ("15", Element::Hour24),
    ("1", Element::NumberMonth),
    ("2006", Element::LongYear),
    ("2", Element::Day),
    ("__2", Element::SpaceYearDay),
    ("_2", Element::SpaceDay),
    ("3", Element::Hour12),
    ("4", Element::Minute),
    ("5", Element::Second),
    ("PM", Element::BigPm),
    ("pm", Element::SmallPm),
    ("-070000", Element::Offset(false, false, true, true)),
    ("-07:00:00", Element::Offset(false, true, true, true)),
    ("-0700", Element::Offset(false, false, true, false)),
    ("-07:00", Element::Offset(false, true, true, false)),
    ("-07", Element::Offset(false, false, false, false)),
    ("Z070000", Element::Offset(true, false, true, true)),
    ("Z07:00:00", Element::Offset(true, true, true, true)),
    ("Z0700", Element::Offset(true, false, true, false)),
    ("Z07:00", Element::Offset(true, true, true, false)),
    ("Z07", Element::Offset(true, false, false, false)),
];

/// The first element of a layout, what is before it, and what follows.
fn next_element(layout: &str) -> (&str, Option<Element>, &str) {
    for (at, character) in layout.char_indices() {
        let rest = layout.get(at..).unwrap_or_default();
        let Some((element, length)) = element_at(rest, character) else {
            continue;
        };
        return (
            layout.get(..at).unwrap_or_default(),
            Some(element),
            layout.get(at + length..).unwrap_or_default(),
        );
    }
    (layout, None, "")
}

fn element_at(rest: &str, first: char) -> Option<(Element, usize)> {
    // Of several that start here it is the longest.
    if rest.starts_with("_2006") {
        // The underscore is text, and the year follows.
        return None;
    }
    if matches!(first, '.' | ',') {
        let digit = rest.chars().nth(1).filter(|it| matches!(it, '0' | '9'))?;
        let digits = rest.get(1..)?.chars().take_while(|it| *it == digit).count();
        // Only where no other digit follows.
        if rest
            .get(1 + digits..)?
            .starts_with(|it: char| it.is_ascii_digit())
        {
            return None;
        }
        let element = if digit == '0' {
            Element::Fraction(digits, first)
        } else {
            Element::ShortFraction(digits, first)
        };
        return Some((element, digits + 1));
    }
    // "Jan" is an element, "Jane" is not.
    let starts = ELEMENTS.iter().filter(|(name, _)| rest.starts_with(name));
    let (name, element) = starts.max_by_key(|(name, _)| name.len())?;
    if matches!(element, Element::ShortMonth | Element::ShortDay) {
        let follows = rest.get(name.len()..)?;
        if follows.starts_with(|it: char| it.is_ascii_lowercase()) {
            return None;
        }
    }
    Some((*element, name.len()))
}

fn push_element(
    out: &mut String,
    element: Element,
    civil: DateTime,
    offset: i32,
    abbreviation: &str,
) {
    let month = MONTHS
        .get(usize::from(civil.month().unsigned_abs()).wrapping_sub(1))
        .copied()
        .unwrap_or_default();
    let weekday = civil.date().weekday().to_sunday_zero_offset();
    let day = DAYS
        .get(usize::from(weekday.unsigned_abs()))
        .copied()
        .unwrap_or_default();
    let hour12 = match civil.hour() % 12 {
        0 => 12,
        it => it,
    };
    let text = match element {
        Element::LongMonth => month.to_owned(),
        Element::ShortMonth => month.get(..3).unwrap_or_default().to_owned(),
        Element::NumberMonth => civil.month().to_string(),
        Element::ZeroMonth => format!("{:02}", civil.month()),
        Element::LongDay => day.to_owned(),
        Element::ShortDay => day.get(..3).unwrap_or_default().to_owned(),
        Element::Day => civil.day().to_string(),
        Element::SpaceDay => format!("{:2}", civil.day()),
        Element::ZeroDay => format!("{:02}", civil.day()),
        Element::SpaceYearDay => format!("{:3}", civil.date().day_of_year()),
        Element::ZeroYearDay => format!("{:03}", civil.date().day_of_year()),
        Element::Hour24 => format!("{:02}", civil.hour()),
        Element::Hour12 => hour12.to_string(),
        Element::ZeroHour12 => format!("{hour12:02}"),
        Element::Minute => civil.minute().to_string(),
        Element::ZeroMinute => format!("{:02}", civil.minute()),
        Element::Second => civil.second().to_string(),
        Element::ZeroSecond => format!("{:02}", civil.second()),
        Element::LongYear => format!("{:04}", civil.year()),
        Element::Year => format!("{:02}", civil.year().rem_euclid(100)),
        Element::BigPm => if civil.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        Element::SmallPm => if civil.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        Element::Abbreviation if abbreviation.is_empty() => {
            // Without a name it is the offset.
            let minutes = offset / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
        }
        Element::Abbreviation => abbreviation.to_owned(),
        Element::Offset(z, ..) if z && offset == 0 => "Z".to_owned(),
        Element::Offset(_, colons, minutes, seconds) => {
            let sign = if offset < 0 { '-' } else { '+' };
            let value = offset.abs();
            let colon = if colons { ":" } else { "" };
            let mut text = format!("{sign}{:02}", value / 3600);
            if minutes {
                text.push_str(&format!("{colon}{:02}", value / 60 % 60));
            }
            if seconds {
                text.push_str(&format!("{colon}{:02}", value % 60));
            }
            text
        }
        Element::Fraction(digits, point) => {
            let nanos = format!("{:09}", civil.subsec_nanosecond());
            let zeros = "0".repeat(digits.saturating_sub(9));
            let kept = nanos.get(..digits.min(9)).unwrap_or_default();
            format!("{point}{kept}{zeros}")
        }
        Element::ShortFraction(digits, point) => {
            let nanos = format!("{:09}", civil.subsec_nanosecond());
            let kept = nanos.get(..digits.min(9)).unwrap_or_default();
            match kept.trim_end_matches('0') {
                "" => String::new(),
                kept => format!("{point}{kept}"),
            }
        }
    };
    out.push_str(&text);
}

/// Reads a time by a layout, in UTC where the layout has no zone (`time.ParseInLocation`).
pub(super) fn parse(layout: &str, text: &str) -> Result<Time, String> {
    let wrong =
        || format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as {layout:?}");
    let mut parts = Parts::default();
    let mut layout_rest = layout;
    let mut rest = text;
    loop {
        let (before, element, after) = next_element(layout_rest);
        rest = skip(rest, before).ok_or_else(wrong)?;
        let Some(element) = element else {
            if rest.is_empty() {
                break;
            }
            return Err(format!("parsing time {text:?}: extra text: {rest:?}"));
        };
        rest = parts.read(element, rest, after).ok_or_else(wrong)?;
        layout_rest = after;
    }
    parts
        .time()
        .ok_or_else(|| format!("parsing time {text:?}: day out of range"))
}

/// The text after what stands in the layout; spaces there match any number of them.
fn skip<'a>(mut text: &'a str, mut prefix: &str) -> Option<&'a str> {
    while let Some(first) = prefix.chars().next() {
        if first == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            prefix = prefix.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(first)?;
        prefix = prefix.get(first.len_utf8()..)?;
    }
    Some(text)
}

#[derive(Default)]
struct Parts {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    pm: Option<bool>,
    offset: Option<i32>,
    zone: Option<String>,
}

impl Parts {
    fn read<'a>(&mut self, element: Element, text: &'a str, after: &str) -> Option<&'a str> {
        let digits = |text: &'a str, least: usize, most: usize| -> Option<(i16, &'a str)> {
            let count = text
                .bytes()
                .take(most)
                .take_while(u8::is_ascii_digit)
                .count();
            if count < least {
                return None;
            }
            Some((text.get(..count)?.parse().ok()?, text.get(count..)?))
        };
        let small = |(value, rest): (i16, &'a str)| Some((i8::try_from(value).ok()?, rest));
        let named = |names: &[&str], length: usize| {
            names.iter().zip(0_i8..).find_map(|(name, at)| {
                let name = name.get(..length.min(name.len()))?;
                let start = text.get(..name.len())?;
                let rest = text.get(name.len()..)?;
                start.eq_ignore_ascii_case(name).then_some((at, rest))
            })
        };
        Some(match element {
            Element::LongYear => {
                let (value, rest) = digits(text, 4, 4)?;
                self.year = Some(value);
                rest
            }
            Element::Year => {
                let (value, rest) = digits(text, 2, 2)?;
                self.year = Some(if value >= 69 {
                    value + 1900
                } else {
                    value + 2000
                });
                rest
            }
            Element::LongMonth | Element::ShortMonth => {
                let length = if element == Element::LongMonth { 20 } else { 3 };
                let (value, rest) = named(&MONTHS, length)?;
                self.month = Some(value + 1);
                rest
            }
            Element::NumberMonth | Element::ZeroMonth => {
                let least = if element == Element::ZeroMonth { 2 } else { 1 };
                let (value, rest) = small(digits(text, least, 2)?)?;
                self.month = Some(value).filter(|it| (1..=12).contains(it));
                self.month?;
                rest
            }
            Element::LongDay => named(&DAYS, 20)?.1,
            Element::ShortDay => named(&DAYS, 3)?.1,
            Element::Day | Element::SpaceDay | Element::ZeroDay => {
                let text = if element == Element::SpaceDay {
                    text.strip_prefix(' ').unwrap_or(text)
                } else {
                    text
                };
                let least = if element == Element::ZeroDay { 2 } else { 1 };
                let (value, rest) = small(digits(text, least, 2)?)?;
                self.day = Some(value);
                rest
            }
            Element::SpaceYearDay | Element::ZeroYearDay => {
                let text = text.trim_start_matches(' ');
                let (value, rest) = digits(text, 1, 3)?;
                self.year_day = Some(value);
                rest
            }
            Element::Hour24 => {
                let (value, rest) = small(digits(text, 1, 2)?)?;
                self.hour = value;
                (value < 24).then_some(rest)?
            }
            Element::Hour12 | Element::ZeroHour12 => {
                let least = if element == Element::ZeroHour12 { 2 } else { 1 };
                let (value, rest) = small(digits(text, least, 2)?)?;
                self.hour = value;
                (value <= 12).then_some(rest)?
            }
            Element::Minute | Element::ZeroMinute => {
                let least = if element == Element::ZeroMinute { 2 } else { 1 };
                let (value, rest) = small(digits(text, least, 2)?)?;
                self.minute = value;
                (value < 60).then_some(rest)?
            }
            Element::Second | Element::ZeroSecond => {
                let least = if element == Element::ZeroSecond { 2 } else { 1 };
                let (value, rest) = small(digits(text, least, 2)?)?;
                self.second = value;
                let rest = (value < 60).then_some(rest)?;
                // A fraction may follow even where the layout has none.
                let layout_has = matches!(
                    next_element(after),
                    (
                        "",
                        Some(Element::Fraction(..) | Element::ShortFraction(..)),
                        _
                    )
                );
                if layout_has {
                    rest
                } else {
                    self.fraction(rest).unwrap_or(rest)
                }
            }
            Element::Fraction(count, _) => {
                let kept = text.get(..=count)?;
                let rest = self.fraction(kept)?;
                rest.is_empty().then_some(())?;
                text.get(count + 1..)?
            }
            Element::ShortFraction(..) => self.fraction(text).unwrap_or(text),
            Element::BigPm | Element::SmallPm => {
                let (am, pm) = if element == Element::BigPm {
                    ("AM", "PM")
                } else {
                    ("am", "pm")
                };
                self.pm = Some(text.starts_with(pm));
                text.strip_prefix(pm).or_else(|| text.strip_prefix(am))?
            }
            Element::Offset(z, colons, minutes, seconds) => {
                if let Some(rest) = text.strip_prefix('Z').filter(|_| z) {
                    self.offset = Some(0);
                    return Some(rest);
                }
                let sign = match text.chars().next()? {
                    '+' => 1,
                    '-' => -1,
                    _ => return None,
                };
                let (hours, mut rest) = digits(text.get(1..)?, 2, 2)?;
                let mut value = i32::from(hours) * 3600;
                for (wanted, unit) in [(minutes, 60), (seconds, 1)] {
                    if wanted {
                        if colons {
                            rest = rest.strip_prefix(':')?;
                        }
                        let (part, after) = digits(rest, 2, 2)?;
                        value += i32::from(part) * unit;
                        rest = after;
                    }
                }
                self.offset = Some(sign * value);
                rest
            }
            Element::Abbreviation => {
                let count = text.bytes().take_while(u8::is_ascii_uppercase).count();
                if !(3..=5).contains(&count) {
                    return None;
                }
                self.zone = Some(text.get(..count)?.to_owned());
                text.get(count..)?
            }
        })
    }

    /// Reads `.123`.
    fn fraction<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let rest = text.strip_prefix(['.', ','])?;
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return None;
        }
        let digits = rest.get(..count.min(9))?;
        self.nanos = format!("{digits:0<9}").parse().ok()?;
        rest.get(count..)
    }

    fn time(self) -> Option<Time> {
        let mut hour = self.hour;
        match self.pm {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        let year = self.year.unwrap_or(0);
        let date = match self.year_day {
            Some(day) => Date::new(year, 1, 1)
                .ok()?
                .checked_add(i64::from(day - 1).days())
                .ok()?,
            None => Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let civil = date.at(hour, self.minute, self.second, self.nanos);
        let zone = match (self.offset, self.zone) {
            (Some(0), None) => Zone::Utc,
            (Some(offset), name) => Zone::Fixed(name.unwrap_or_default(), offset),
            (None, Some(name)) if name != "UTC" => Zone::Fixed(name, 0),
            (None, _) => Zone::Utc,
        };
        let at = moment(&zone, civil)?;
        Some(Time { at, zone })
    }
}

/// As the text of a template or a label has it.
pub(super) fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
