//! Hosts that a router's rule names, in the syntax of Traefik 2 and 3.

pub(crate) mod literal;

/// Hosts that are named literally by `Host`, or by `HostSNI` but for `*`, in lower case, each once. What is negated, or an expression for
/// many hosts, names none. At most `max`.
pub(crate) fn hosts(rule: &str, max: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = rule;
    // Negations that are open, by the number of parentheses outside of them.
    let (mut depth, mut negated, mut is_not) = (0_usize, Vec::new(), false);
    while let Some(first) = rest.chars().next() {
        match first {
            '`' | '"' => rest = literal(rest).1,
            '!' => {
                is_not = true;
                rest = tail(rest, 1);
            }
            '(' => {
                if std::mem::take(&mut is_not) {
                    negated.push(depth);
                }
                depth += 1;
                rest = tail(rest, 1);
            }
            ')' => {
                depth = depth.saturating_sub(1);
                while negated.last().is_some_and(|it| *it >= depth) {
                    negated.pop();
                }
                rest = tail(rest, 1);
            }
            it if it.is_ascii_alphabetic() => {
                let end = rest.find(|it: char| !it.is_ascii_alphanumeric());
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                rest = after;
                let is_host = ["host", "hostsni", "hostheader"]
                    .iter()
                    .any(|it| it.eq_ignore_ascii_case(word));
                if let Some(mut arguments) = after.trim_start().strip_prefix('(') {
                    let counts = is_host && !std::mem::take(&mut is_not) && negated.is_empty();
                    loop {
                        arguments = arguments
                            .trim_start_matches(|it: char| it.is_whitespace() || it == ',');
                        if !arguments.starts_with(['`', '"']) {
                            break;
                        }
                        let (host, after) = literal(arguments);
                        arguments = after;
                        let host = host.trim_end_matches('.').to_ascii_lowercase();
                        let is_new = !host.is_empty() && host != "*" && !found.contains(&host);
                        if counts && is_new && found.len() < max {
                            found.push(host);
                        }
                    }
                    rest = arguments.strip_prefix(')').unwrap_or(arguments);
                }
            }
            other => rest = tail(rest, other.len_utf8()),
        }
    }
    found
}

/// A literal at the start of a text, without its quotes, and what comes after it.
fn literal(text: &str) -> (&str, &str) {
    let quote = text.chars().next().unwrap_or('`');
    let inside = tail(text, quote.len_utf8());
    inside.split_once(quote).unwrap_or((inside, ""))
}

fn tail(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn rules() {
        for (rule, expect) in [
            ("Host(`a.test`)", &["a.test"][..]),
            ("Host(`A.Test`) && PathPrefix(`/x`)", &["a.test"]),
            ("Host(`a`, `b`)", &["a", "b"]),
            ("Host(`a`) || Host(\"b\") || Host(`a`)", &["a", "b"]),
            ("(Host(`a`) || Host(`b`)) && Method(`GET`)", &["a", "b"]),
            ("!Host(`a`) && Host(`b`)", &["b"]),
            ("!(Host(`a`) || (Host(`b`))) && Host(`c`)", &["c"]),
            ("! Host(`a`)", &[]),
            ("HostSNI(`*`)", &[]),
            ("HostSNI(`t.test`)", &["t.test"]),
            ("HostRegexp(`^a$`)", &[]),
            ("HostHeader(`h.test`)", &["h.test"]),
            ("PathPrefix(`/Host(x)`) && Host(`a`)", &["a"]),
            ("Header(`X`, `Host(`) && Host (`a`)", &["a"]),
            ("host(`a`)", &["a"]),
            ("Host(`a.`)", &["a"]),
            ("", &[]),
            ("Host(", &[]),
            ("Host(`a", &["a"]),
            ("Host(`é", &["é"]),
            ("))) Host(`a`)", &["a"]),
        ] {
            assert_eq!(hosts(rule, 10), expect, "{rule}");
        }
        let many: String = (0..100).map(|it| format!("Host(`h{it}`) ||")).collect();
        assert_eq!(hosts(&many, 10).len(), 10);
    }
}
