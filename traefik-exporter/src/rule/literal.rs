//! Requests that a router's rule is sure to take, in the syntax of Traefik 2 and 3: hosts, paths and methods that it names literally.

/// A request that a rule takes. What is None may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Literal {
    /// In lower case.
    pub(crate) host: Option<String>,
    pub(crate) path: Option<Path>,
    /// In upper case.
    pub(crate) method: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Path {
    Exact(String),
    Prefix(String),
}

/// Alternatives of a rule that are looked at.
const MAX: usize = 32;
/// Parentheses within each other.
const MAX_DEPTH: usize = 16;

/// The alternatives of a rule that are literal: none when it looks at anything else in all of them, or cannot be read.
pub(crate) fn literals(rule: &str) -> Vec<Literal> {
    let mut parser = Parser {
        rest: rule,
        depth: 0,
    };
    let all = parser.any().unwrap_or_default();
    parser.skip_space();
    if parser.rest.is_empty() {
        all
    } else {
        Vec::new()
    }
}

impl Literal {
    /// What both take.
    fn and(&self, other: &Self) -> Option<Self> {
        Some(Self {
            host: same(self.host.as_ref(), other.host.as_ref())?,
            path: match (&self.path, &other.path) {
                (Some(a), Some(b)) => Some(a.and(b)?),
                (one, another) => one.as_ref().or(another.as_ref()).cloned(),
            },
            method: same(self.method.as_ref(), other.method.as_ref())?,
        })
    }
}

/// What both say, when it is not two things.
fn same(a: Option<&String>, b: Option<&String>) -> Option<Option<String>> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => None,
        (a, b) => Some(a.or(b).cloned()),
    }
}

impl Path {
    /// Whether this path is taken.
    pub(crate) fn takes(&self, path: &str) -> bool {
        match self {
            Self::Exact(its) => its == path,
            Self::Prefix(its) => path.starts_with(its.as_str()),
        }
    }

    /// One that is taken.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Exact(its) | Self::Prefix(its) => its,
        }
    }

    fn and(&self, other: &Self) -> Option<Self> {
        // The longer one is taken by the shorter, or nothing is taken by both.
        let (narrow, wide) = match (self, other) {
            (Self::Exact(_), _) => (self, other),
            (_, Self::Exact(_)) => (other, self),
            (Self::Prefix(a), Self::Prefix(b)) if a.len() >= b.len() => (self, other),
            _ => (other, self),
        };
        wide.takes(narrow.text()).then(|| narrow.clone())
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Option<Vec<Literal>> {
        let mut all = self.every()?;
        while self.take("||") {
            all.extend(self.every()?);
            all.truncate(MAX);
        }
        Some(all)
    }

    fn every(&mut self) -> Option<Vec<Literal>> {
        let mut all = self.one()?;
        while self.take("&&") {
            let others = self.one()?;
            let pairs = all
                .iter()
                .flat_map(|a| others.iter().filter_map(|b| a.and(b)));
            all = pairs.take(MAX).collect();
        }
        Some(all)
    }

    fn one(&mut self) -> Option<Vec<Literal>> {
        if self.take("!") {
            // What it leaves is no literal.
            return self.one_deeper().map(|_| Vec::new());
        }
        if self.take("(") {
            self.depth += 1;
            let inside = (self.depth <= MAX_DEPTH).then(|| self.any()).flatten()?;
            self.depth -= 1;
            return self.take(")").then_some(inside);
        }
        let name = self.name()?;
        let arguments = self.arguments()?;
        Some(matcher(name, &arguments))
    }

    /// Negations are within each other, too.
    fn one_deeper(&mut self) -> Option<Vec<Literal>> {
        self.depth += 1;
        let one = (self.depth <= MAX_DEPTH).then(|| self.one()).flatten();
        self.depth -= 1;
        one
    }

    fn name(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end = self.rest.find(|it: char| !it.is_ascii_alphanumeric());
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn arguments(&mut self) -> Option<Vec<&'a str>> {
        let mut all = Vec::new();
        if !self.take("(") {
            return None;
        }
        while !self.take(")") {
            if !all.is_empty() && !self.take(",") {
                return None;
            }
            self.skip_space();
            let quote = self.rest.chars().next().filter(|it| "`\"".contains(*it))?;
            let (argument, rest) = self.rest.get(1..)?.split_once(quote)?;
            // Go's escapes are rare in rules.
            if quote == '"' && argument.contains('\\') {
                return None;
            }
            all.push(argument);
            self.rest = rest;
        }
        Some(all)
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// What a matcher takes, each argument of it; nothing when that is no literal.
fn matcher(name: &str, arguments: &[&str]) -> Vec<Literal> {
    let each = |make: fn(&str) -> Option<Literal>| {
        let all = arguments.iter().take(MAX);
        all.filter_map(|it| make(it)).collect()
    };
    match name.to_ascii_lowercase().as_str() {
        "host" | "hostheader" => each(host),
        "hostsni" => each(|it| match it {
            "*" => Some(Literal::default()),
            _ => host(it),
        }),
        "path" => each(|it| path(it, Path::Exact)),
        "pathprefix" => each(|it| path(it, Path::Prefix)),
        "method" => each(|it| {
            Some(Literal {
                method: Some(it.to_ascii_uppercase()),
                ..Literal::default()
            })
        }),
        _ => Vec::new(),
    }
}

fn host(text: &str) -> Option<Literal> {
    let host = text.trim_end_matches('.').to_ascii_lowercase();
    let is_name = host
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || b".-_".contains(&it));
    (is_name && !host.is_empty()).then(|| Literal {
        host: Some(host),
        ..Literal::default()
    })
}

/// Traefik 2 has expressions in braces.
fn path(text: &str, make: fn(String) -> Path) -> Option<Literal> {
    let is_plain = text
        .bytes()
        .all(|it| it.is_ascii_graphic() && !b"{}?#\"<>\\^`|".contains(&it));
    (text.starts_with('/') && is_plain).then(|| Literal {
        path: Some(make(text.to_owned())),
        ..Literal::default()
    })
}

#[cfg(test)]
mod tests {
    use super::{Literal, Path, literals};

    /// `host path method` of each, `-` for anything.
    fn shown(all: &[Literal]) -> Vec<String> {
        let any = || "-".to_owned();
        let one = |it: &Literal| {
            let path = match &it.path {
                None => any(),
                Some(Path::Exact(path)) => format!("={path}"),
                Some(Path::Prefix(path)) => path.clone(),
            };
            let host = it.host.clone().unwrap_or_else(any);
            let method = it.method.clone().unwrap_or_else(any);
            format!("{host} {path} {method}")
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn rules() {
        for (rule, expect) in [
            ("Host(`a.test`)", &["a.test - -"][..]),
            ("Host(`A.`) && PathPrefix(`/x`)", &["a /x -"]),
            ("Host(`a`, \"b\")", &["a - -", "b - -"]),
            ("host(`a`) && Path(`/x`)", &["a =/x -"]),
            (
                "(Host(`a`) || Host(`b`)) && (PathPrefix(`/x`) || PathPrefix(`/y`))",
                &["a /x -", "a /y -", "b /x -", "b /y -"],
            ),
            (
                "Host(`a`) && PathPrefix(`/x`) || Header(`k`, `v`)",
                &["a /x -"],
            ),
            ("Host(`a`) && Method(`get`)", &["a - GET"]),
            ("Host(`a`) && !Path(`/x`)", &[]),
            ("!(Host(`a`)) || Host(`b`)", &["b - -"]),
            ("Host(`a`) && Host(`b`)", &[]),
            ("PathPrefix(`/x`) && PathPrefix(`/x/y`)", &["- /x/y -"]),
            ("PathPrefix(`/x/y`) && PathPrefix(`/x`)", &["- /x/y -"]),
            ("PathPrefix(`/x`) && Path(`/x/z`)", &["- =/x/z -"]),
            ("Path(`/x`) && PathPrefix(`/x/y`)", &[]),
            ("Path(`/x/{id}`) && Host(`a`)", &[]),
            ("HostSNI(`*`)", &["- - -"]),
            ("HostSNI(`t.test`)", &["t.test - -"]),
            ("HostRegexp(`^a$`)", &[]),
            ("Host(`*.a`)", &[]),
            ("Host(`a b`)", &[]),
            ("Host(`é`)", &[]),
            ("Path(`x`) && Host(`a`)", &[]),
            ("Host(`a`) Host(`b`)", &[]),
            ("Host(`a`) &&", &[]),
            ("Host(`a`", &[]),
            ("Host(`a`)…", &[]),
            ("Host()", &[]),
            ("", &[]),
        ] {
            assert_eq!(shown(&literals(rule)), expect, "{rule}");
        }
        let deep = format!("{}Host(`a`){}", "(".repeat(100), ")".repeat(100));
        assert_eq!(literals(&deep), []);
        assert_eq!(literals(&"!".repeat(100_000)), []);
        let many = vec!["(Host(`a`) || Host(`b`))"; 100].join(" && ");
        assert_eq!(literals(&many).len(), 2);
        let many = vec!["Host(`a`)"; 100].join(" || ");
        assert_eq!(literals(&many).len(), 32);
    }
}
