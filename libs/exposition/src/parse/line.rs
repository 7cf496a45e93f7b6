//! One sample line to its parts.

use crate::{Exemplar, Labels, is_label_name, is_metric_name, number::parse_float};

/// The parts of a sample line.
#[derive(Debug)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) exemplar: Option<Exemplar>,
}

/// What is left of a line.
pub(super) struct Line<'a> {
    rest: &'a str,
}

impl<'a> Line<'a> {
    pub(super) const fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    /// `name{label="value",} value timestamp` with blanks between all of it.
    pub(super) fn text_sample(mut self) -> Result<Sample<'a>, String> {
        let name = self.name()?;
        self.blanks();
        let labels = self.labels(true)?;
        self.blanks();
        let value = self.word();
        let value = parse_float(value)
            .ok_or_else(|| format!("{value:?} is no number for the value of {name}"))?;
        self.blanks();
        let timestamp = match self.word() {
            "" => None,
            word => Some(word.parse().map_err(|_error| {
                format!("{word:?} is no time stamp in milliseconds for {name}")
            })?),
        };
        self.blanks();
        if !self.rest.is_empty() {
            return Err(format!(
                "unexpected {:?} after the sample of {name}",
                self.rest
            ));
        }
        Ok(Sample {
            name,
            labels,
            value,
            timestamp,
            exemplar: None,
        })
    }

    /// `name{label="value"} value timestamp # {label="value"} value timestamp` with single spaces.
    pub(super) fn open_metrics_sample(mut self) -> Result<Sample<'a>, String> {
        let name = self.name()?;
        let labels = self.labels(false)?;
        let (value, timestamp) = self.open_metrics_value(name)?;
        let exemplar = if self.eat(" # ") {
            if !self.rest.starts_with('{') {
                return Err(format!("the exemplar of {name} has no labels"));
            }
            let labels = self.labels(false)?;
            let (value, timestamp) = self.open_metrics_value(name)?;
            let exemplar = Exemplar::new(labels, value, timestamp);
            Some(exemplar.map_err(|error| format!("{name}: {error}"))?)
        } else {
            None
        };
        if !self.rest.is_empty() {
            return Err(format!(
                "unexpected {:?} after the sample of {name}",
                self.rest
            ));
        }
        Ok(Sample {
            name,
            labels,
            value,
            timestamp,
            exemplar,
        })
    }

    fn open_metrics_value(&mut self, name: &str) -> Result<(f64, Option<i64>), String> {
        if !self.eat(" ") {
            return Err(format!("a single space must follow {name} and its labels"));
        }
        let word = self.until_space();
        let value = parse_float(word)
            .ok_or_else(|| format!("{word:?} is no number for the value of {name}"))?;
        if !self.rest.starts_with(' ') || self.rest.starts_with(" # ") {
            return Ok((value, None));
        }
        self.eat(" ");
        let word = self.until_space();
        let seconds = parse_float(word)
            .filter(|it| it.is_finite() && it.abs() < 1e12)
            .ok_or_else(|| format!("{word:?} is no time stamp in seconds for {name}"))?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded a line above")]
        let milliseconds = (seconds * 1000.0).round() as i64;
        Ok((value, Some(milliseconds)))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let end = self.rest.find(['{', ' ', '\t']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !is_metric_name(name) {
            return Err(format!("{name:?} is no metric name"));
        }
        self.rest = rest;
        Ok(name)
    }

    /// A set of labels in braces, if one is here. With `loose`, blanks and a comma after the last label are allowed.
    fn labels(&mut self, loose: bool) -> Result<Labels, String> {
        if !self.eat("{") {
            return Ok(Labels::EMPTY);
        }
        let mut pairs = Vec::new();
        loop {
            self.blanks_if(loose);
            if (loose || pairs.is_empty()) && self.eat("}") {
                break;
            }
            let end = self.rest.find(['=', ' ', '\t', '}', ',', '"']);
            let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            if !is_label_name(name) {
                return Err(format!("{name:?} is no label name"));
            }
            self.rest = rest;
            self.blanks_if(loose);
            if !self.eat("=") {
                return Err(format!("no = after the label {name}"));
            }
            self.blanks_if(loose);
            let value = self.quoted(name, loose)?;
            pairs.push((name.to_owned(), value));
            self.blanks_if(loose);
            if self.eat("}") {
                break;
            }
            if !self.eat(",") {
                return Err(format!("neither , nor }} after the label {name}"));
            }
        }
        Labels::new(pairs).map_err(|error| error.to_string())
    }

    fn quoted(&mut self, label: &str, loose: bool) -> Result<String, String> {
        if !self.eat("\"") {
            return Err(format!("the value of the label {label} is not in quotes"));
        }
        let mut value = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or("");
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, same @ ('\\' | '"'))) => value.push(same),
                    // OpenMetrics 1.0, ABNF: `escaped-char =/ BS normal-char`.
                    Some((_, other)) if !loose => value.extend(['\\', other]),
                    Some((_, other)) => {
                        return Err(format!(
                            "unknown escape \\{other} in the value of the label {label}"
                        ));
                    }
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err(format!("the value of the label {label} does not end"))
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn blanks_if(&mut self, loose: bool) {
        if loose {
            self.blanks();
        }
    }

    fn word(&mut self) -> &'a str {
        self.until([' ', '\t'].as_slice())
    }

    fn until_space(&mut self) -> &'a str {
        self.until([' '].as_slice())
    }

    fn until(&mut self, stops: &[char]) -> &'a str {
        let end = self.rest.find(stops).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

/// A help text: `\\` and `\n` are escapes, in OpenMetrics `\"` too.
pub(super) fn unescape_help(text: &str, open_metrics: bool) -> Result<String, String> {
    let mut help = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            help.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => help.push('\n'),
            Some('\\') => help.push('\\'),
            Some('"') if open_metrics => help.push('"'),
            Some(other) if open_metrics => help.extend(['\\', other]),
            Some(other) => return Err(format!("unknown escape \\{other} in a help text")),
            None => return Err("a help text ends in a backslash".to_owned()),
        }
    }
    Ok(help)
}
