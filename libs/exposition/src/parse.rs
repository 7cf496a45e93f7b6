//! Strict parsers of both text formats. A mistake anywhere rejects the whole input and names its line.

mod build;
mod line;

use build::Builder;
use line::Line;

use crate::{Family, Kind, is_metric_name};

/// Where and why an exposition is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// Reads the text format 0.0.4, as tolerant as Prometheus' own parser: help and types may be missing, and the samples
/// of a family may stand apart.
///
/// # Errors
/// At the first thing that is not of the format; nothing is returned then.
pub fn text(input: &str) -> Result<Vec<Family>, ParseError> {
    text_0_0_4(input, false)
}

/// Reads the text format 0.0.4 as its specification asks producers to write it: the lines of a family together,
/// its type before its samples, every metric once.
///
/// # Errors
/// As [`text`], and for what the specification forbids.
pub fn text_strict(input: &str) -> Result<Vec<Family>, ParseError> {
    text_0_0_4(input, true)
}

/// Reads OpenMetrics 1.0. `_created` samples are checked and left out; types that the text format 0.0.4 does not know become gauges
/// (`info`, `stateset`) or untyped metrics (`gaugehistogram`, without its exemplars).
///
/// # Errors
/// At the first thing that is not of the format; nothing is returned then.
pub fn open_metrics(input: &str) -> Result<Vec<Family>, ParseError> {
    let mut builder = Builder::new(true);
    let mut number = 0;
    let mut ended = false;
    // Without its last line feed an input ends in a line of its own.
    for text in input.strip_suffix('\n').unwrap_or(input).split('\n') {
        number += 1;
        let at_line = |reason| ParseError {
            line: number,
            reason,
        };
        if ended {
            return Err(at_line("text after # EOF".to_owned()));
        }
        if text == "# EOF" {
            ended = true;
            continue;
        }
        open_metrics_line(&mut builder, text).map_err(at_line)?;
    }
    if !ended {
        return Err(ParseError {
            line: number,
            reason: "the last line is not # EOF".to_owned(),
        });
    }
    builder.finish().map_err(|reason| ParseError {
        line: number,
        reason,
    })
}

fn text_0_0_4(input: &str, strict: bool) -> Result<Vec<Family>, ParseError> {
    let mut builder = Builder::new(strict);
    let mut number = 0;
    for text in input.split_inclusive('\n') {
        number += 1;
        let at_line = |reason| ParseError {
            line: number,
            reason,
        };
        let text = text
            .strip_suffix('\n')
            .ok_or_else(|| at_line("the last line does not end with a line feed".to_owned()))?;
        text_line(&mut builder, text).map_err(at_line)?;
    }
    builder.finish().map_err(|reason| ParseError {
        line: number,
        reason,
    })
}

fn text_line(builder: &mut Builder, text: &str) -> Result<(), String> {
    let text = text.trim_start_matches([' ', '\t']);
    if text.is_empty() {
        return Ok(());
    }
    let Some(comment) = text.strip_prefix('#') else {
        let sample = Line::new(text).text_sample()?;
        return builder.text_sample(sample);
    };
    let blank = [' ', '\t'];
    let (keyword, rest) = split_word(comment.trim_start_matches(blank));
    if keyword != "HELP" && keyword != "TYPE" {
        return Ok(());
    }
    let (name, rest) = split_word(rest.trim_start_matches(blank));
    if !is_metric_name(name) {
        return Err(format!("{name:?} after {keyword} is no metric name"));
    }
    let rest = rest.trim_start_matches(blank);
    if keyword == "HELP" {
        return builder.help(name, line::unescape_help(rest, false)?);
    }
    // Prometheus takes types in any case.
    let kind = match rest.trim_end_matches(blank).to_ascii_lowercase().as_str() {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "summary" => Kind::Summary,
        "untyped" => Kind::Untyped,
        _ => return Err(format!("unknown type {rest:?} of {name}")),
    };
    builder.kind(name, kind)
}

fn open_metrics_line(builder: &mut Builder, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("an empty line".to_owned());
    }
    let Some(comment) = text.strip_prefix('#') else {
        let sample = Line::new(text).open_metrics_sample()?;
        return builder.open_metrics_sample(sample);
    };
    let mut words = comment.splitn(4, ' ');
    let (Some(""), Some(keyword), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("{text:?} is neither HELP, TYPE, UNIT nor EOF"));
    };
    if !matches!(keyword, "HELP" | "UNIT" | "TYPE") {
        return Err(format!("{keyword:?} is neither HELP, TYPE, UNIT nor EOF"));
    }
    let rest = words
        .next()
        .ok_or_else(|| format!("nothing follows the name after {keyword}"))?;
    if !is_metric_name(name) {
        return Err(format!("{name:?} after {keyword} is no metric name"));
    }
    match keyword {
        "HELP" => builder.open_metrics_help(name, line::unescape_help(rest, true)?),
        "UNIT" => builder.open_metrics_unit(name, rest),
        _ => builder.open_metrics_type(name, rest),
    }
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}
