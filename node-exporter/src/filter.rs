//! Which devices, mount points or units are shown: regular expressions to include and to exclude.

use clap::ArgMatches;
use regex::Regex;

use crate::flags::{FlagError, given};

/// An expression of a flag, or what stands for it when the flag is not given.
#[derive(Debug)]
pub(crate) enum Pattern {
    Given(Regex),
    Default(fn(&str) -> bool),
}

impl Pattern {
    pub(crate) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Given(regex) => regex.is_match(name),
            Self::Default(matches) => matches(name),
        }
    }
}

/// A flag's default: an expression, and the same written out. To compile one costs a start most of a millisecond, and to keep
/// it more memory than what it is matched with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Default {
    /// Empty for none.
    #[cfg_attr(
        not(any(test, feature = "fuzzing")),
        expect(dead_code, reason = "tests hold the two against each other")
    )]
    pub(crate) expression: &'static str,
    pub(crate) matches: Option<fn(&str) -> bool>,
}

impl Default {
    /// Nothing is said.
    pub(crate) const NONE: Self = Self {
        expression: "",
        matches: None,
    };
    /// Matches the empty name alone.
    pub(crate) const EMPTY: Self = Self {
        expression: "^$",
        matches: Some(str::is_empty),
    };

    /// The flag's expression, or this; None for an empty expression.
    pub(crate) fn or_given(
        self,
        matches: &ArgMatches,
        flag: &str,
    ) -> Result<Option<Pattern>, FlagError> {
        match given(matches, flag) {
            Some(expression) => Ok(compile(flag, Some(expression))?.map(Pattern::Given)),
            None => Ok(self.matches.map(Pattern::Default)),
        }
    }
}

/// Names that match `exclude`, or do not match `include`, are left out. As in Go, a match may be anywhere in the name.
#[derive(Debug)]
pub(crate) struct Filter {
    exclude: Option<Pattern>,
    include: Option<Pattern>,
}

/// The flags of a filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterFlags {
    pub(crate) exclude: &'static str,
    pub(crate) include: &'static str,
    /// Older spelling of `exclude`.
    pub(crate) old_exclude: Option<&'static str>,
    /// Older spelling of `include`.
    pub(crate) old_include: Option<&'static str>,
    /// What is excluded when nothing is said.
    pub(crate) default: Default,
}

impl FilterFlags {
    /// Reads the flags. Naming what to include switches the default exclusion off.
    pub(crate) fn read(self, matches: &ArgMatches) -> Result<Filter, FlagError> {
        let exclude = either(matches, self.exclude, self.old_exclude)?;
        let include = either(matches, self.include, self.old_include)?;
        match (exclude, include) {
            (Some(_), Some(_)) => Err(FlagError::Exclusive(
                self.exclude.to_owned(),
                self.include.to_owned(),
            )),
            (None, None) => Ok(Filter {
                exclude: self.default.matches.map(Pattern::Default),
                include: None,
            }),
            (exclude, include) => Ok(Filter::of(
                compile(self.include, include)?,
                compile(self.exclude, exclude)?,
            )),
        }
    }
}

impl Filter {
    /// A filter of expressions that may both be there.
    pub(crate) fn of(include: Option<Regex>, exclude: Option<Regex>) -> Self {
        Self {
            exclude: exclude.map(Pattern::Given),
            include: include.map(Pattern::Given),
        }
    }

    /// Whether a name is left out.
    pub(crate) fn ignores(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|it| it.is_match(name))
            || self.include.as_ref().is_some_and(|it| !it.is_match(name))
    }
}

fn either<'a>(
    matches: &'a ArgMatches,
    flag: &'static str,
    old: Option<&'static str>,
) -> Result<Option<&'a str>, FlagError> {
    let new = given(matches, flag);
    let Some((name, value)) = old.and_then(|old| Some((old, given(matches, old)?))) else {
        return Ok(new);
    };
    if new.is_some() {
        return Err(FlagError::Exclusive(name.to_owned(), flag.to_owned()));
    }
    tracing::warn!("--{name} is the older spelling of --{flag}");
    Ok(Some(value))
}

/// An empty expression is no expression.
pub(crate) fn compile(flag: &str, expression: Option<&str>) -> Result<Option<Regex>, FlagError> {
    let Some(expression) = expression.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let compiled = Regex::new(expression).map_err(|error| FlagError::Regex {
        flag: flag.to_owned(),
        value: expression.to_owned(),
        // The library draws the place over several lines; its last line says what is wrong.
        reason: error
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .trim()
            .replace("error: ", ""),
    })?;
    Ok(Some(compiled))
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Command;

    use regex::Regex;

    use super::{Default, Filter, FilterFlags};
    use crate::flags::value;

    /// A default and its expression agree on these names, and each matches some of them and not others.
    pub(crate) fn agree(default: Default, names: &[&str]) {
        let regex = Regex::new(default.expression).unwrap();
        let matches = default.matches.unwrap();
        for name in names {
            assert_eq!(
                matches(name),
                regex.is_match(name),
                "{name} {}",
                default.expression
            );
        }
        assert!(names.iter().any(|it| matches(it)) && names.iter().any(|it| !matches(it)));
    }

    #[test]
    fn defaults() {
        agree(Default::EMPTY, &["", "a"]);
    }

    const FLAGS: FilterFlags = FilterFlags {
        exclude: "x-exclude",
        include: "x-include",
        old_exclude: Some("ignored-x"),
        old_include: None,
        default: Default {
            expression: "^lo$",
            matches: Some(|it| it == "lo"),
        },
    };

    fn read(arguments: &[&str]) -> Result<Filter, String> {
        let command = Command::new("test").no_binary_name(true);
        let command = ["x-exclude", "x-include", "ignored-x"]
            .into_iter()
            .fold(command, |command, flag| value(command, flag, false, ""));
        FLAGS
            .read(&command.get_matches_from(arguments))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn filters() {
        for (arguments, expect) in [
            (&[][..], Ok((true, false, false))),
            (&["--x-exclude=eth"], Ok((false, true, true))),
            (&["--x-exclude="], Ok((false, false, false))),
            (&["--ignored-x=eth1"], Ok((false, false, true))),
            (&["--x-include=^(lo|eth0)$"], Ok((false, false, true))),
            (
                &["--x-include=a", "--x-exclude=b"],
                Err("--x-exclude and --x-include are mutually exclusive"),
            ),
            (
                &["--x-exclude=a", "--ignored-x=b"],
                Err("--ignored-x and --x-exclude are mutually exclusive"),
            ),
            (
                &["--x-exclude=("],
                Err("--x-exclude=\"(\" is no regular expression: unclosed group"),
            ),
        ] {
            let found = read(arguments);
            let found = found
                .as_ref()
                .map(|it| (it.ignores("lo"), it.ignores("eth0"), it.ignores("eth1")))
                .map_err(String::as_str);
            assert_eq!(found, expect, "{arguments:?}");
        }
    }
}
