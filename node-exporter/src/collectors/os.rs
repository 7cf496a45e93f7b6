//! `node_os_info` and its like, from `/etc/os-release` of the host (os-release(5)).

use std::{collections::BTreeMap, sync::Arc};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "os",
    default: true,
    flags: no_flags,
    make: |setup| Ok(Box::new(Os(Arc::clone(&setup.host)))),
    descs: &[INFO, VERSION, SUPPORT_END],
};

const LABELS: [&str; 12] = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];
const INFO: Desc = Desc::new(
    "node_os_info",
    Kind::Gauge,
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.",
)
.labels(&LABELS);
const VERSION: Desc = Desc::new(
    "node_os_version",
    Kind::Gauge,
    "Metric containing the major.minor part of the OS version.",
)
.labels(&["id", "id_like", "name"]);
const SUPPORT_END: Desc = Desc::new(
    "node_os_support_end_timestamp_seconds",
    Kind::Gauge,
    "Metric containing the end-of-life date timestamp of the OS.",
);

struct Os(Arc<Host>);

impl Collector for Os {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let mut path = self.0.rooted("/etc/os-release");
        if !path.exists() {
            path = self.0.rooted("/usr/lib/os-release");
        }
        let release = parse(&self.0.read(&path)?);
        let get = |key: &str| release.get(key).map_or("", String::as_str);
        let mut info = Family::of(&INFO);
        let values = LABELS.map(|it| get(&it.to_ascii_uppercase()));
        info.push(&values, 1.0);
        out.push(info);
        if let Some(version) = major_minor(get("VERSION_ID")) {
            let mut family = Family::of(&VERSION);
            family.push(&[get("ID"), get("ID_LIKE"), get("NAME")], version);
            out.push(family);
        }
        let end = get("SUPPORT_END");
        if !end.is_empty() {
            let seconds = end
                .parse::<jiff::civil::Date>()
                .and_then(|it| it.to_zoned(jiff::tz::TimeZone::UTC))
                .map_err(|_error| parse_error(&path, format!("SUPPORT_END={end}")))?;
            let seconds = seconds.timestamp().as_duration().as_secs_f64();
            out.push(Family::single(&SUPPORT_END, seconds));
        }
        Ok(())
    }
}

/// `NAME="value"` lines; quotes and escapes are the shell's.
fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            if name.starts_with('#') {
                return None;
            }
            Some((name.to_owned(), unquote(value.trim())))
        })
        .collect()
}

fn unquote(value: &str) -> String {
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = quoted('\'') {
        return literal.to_owned();
    }
    let mut out = String::new();
    let mut characters = quoted('"').unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    out
}

/// `12.4.1` to 12.4; zero is no version.
fn major_minor(version: &str) -> Option<f64> {
    let mut parts = version.splitn(3, '.');
    let major = parts.next()?;
    let leading = |text: &str| {
        let end = text
            .find(|it: char| !it.is_ascii_digit())
            .unwrap_or(text.len());
        text.split_at(end).0.to_owned()
    };
    let mut number = leading(major);
    if number.len() == major.len()
        && let Some(minor) = parts.next()
    {
        number = format!("{number}.{}", leading(minor));
    }
    number.parse().ok().filter(|it| *it > 0.0)
}

#[cfg(test)]
mod tests {
    use super::{major_minor, parse};

    #[test]
    fn releases() {
        let text = "# c\nNAME=\"A \\\"B\\\" \\$C\"\nID=debian\nX='a\\b'\n\nbroken\n";
        let found = parse(text);
        let found: Vec<_> = found
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            found,
            [("ID", "debian"), ("NAME", "A \"B\" $C"), ("X", "a\\b")]
        );
    }

    #[test]
    fn versions() {
        for (text, expect) in [
            ("12", Some(12.0)),
            ("22.04", Some(22.04)),
            ("8.10.2", Some(8.10)),
            ("2.", Some(2.0)),
            ("11rc", Some(11.0)),
            ("rolling", None),
            ("", None),
            ("0", None),
        ] {
            assert_eq!(major_minor(text), expect, "{text}");
        }
    }
}
