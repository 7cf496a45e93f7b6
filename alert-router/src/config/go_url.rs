//! URLs as Go's `net/url` reads and writes them: Alertmanager shows them in that form.

/// Where a character stands decides on whether it may stand there as itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Host,
    Path,
    Fragment,
}

/// Checks an `http` or `https` URL; gives it back as Go would write it.
pub(super) fn http(text: &str) -> Result<String, String> {
    let url = Url::parse(text)?;
    if !matches!(url.scheme.as_str(), "http" | "https") {
        return Err("it must start with http:// or https://".to_owned());
    }
    if url.host.as_deref().unwrap_or("").is_empty() {
        return Err("it has no host".to_owned());
    }
    Ok(url.written(false))
}

/// Checks any URL, for proxies; gives it back without the password.
pub(super) fn redacted(text: &str) -> Result<String, String> {
    Ok(Url::parse(text)?.written(true))
}

struct Url {
    scheme: String,
    /// Decoded: a name, and a password when there is one.
    user: Option<(String, Option<String>)>,
    /// None when there is no `//`.
    host: Option<String>,
    /// As it is to be written.
    path: String,
    /// With its question mark.
    query: String,
    fragment: String,
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().any(|it| it < b' ' || it == 0x7f) {
            return Err("it has a control character".to_owned());
        }
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = scheme(rest)?;
        let (rest, query) = match rest.find('?') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if !rest.starts_with('/') && !scheme.is_empty() {
            // Opaque, such as `mailto:x`.
            return Ok(Self {
                scheme,
                user: None,
                host: None,
                path: rest.to_owned(),
                query: query.to_owned(),
                fragment: written(fragment, Part::Fragment)?,
            });
        }
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                (Some(authority), path)
            }
            None => (None, rest),
        };
        let (mut user, mut host) = (None, None);
        if let Some(authority) = authority {
            let (info, name) = match authority.rsplit_once('@') {
                Some((info, name)) => (Some(info), name),
                None => (None, authority),
            };
            if let Some(info) = info {
                if !info
                    .chars()
                    .all(|it| it.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(it))
                {
                    return Err("its user name or password must be percent-encoded".to_owned());
                }
                let (name, password) = match info.split_once(':') {
                    Some((name, password)) => (name, Some(password)),
                    None => (info, None),
                };
                let password = password.map(|it| decoded(it, Part::User)).transpose()?;
                user = Some((decoded(name, Part::User)?, password));
            }
            host = Some(check_host(name)?);
        }
        Ok(Self {
            scheme,
            user,
            host,
            path: written(path, Part::Path)?,
            query: query.to_owned(),
            fragment: written(fragment, Part::Fragment)?,
        })
    }

    fn written(&self, redacted: bool) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if let Some(host) = &self.host {
            out.push_str("//");
            if let Some((name, password)) = &self.user {
                encode(&mut out, name, Part::User);
                if let Some(password) = password {
                    out.push(':');
                    let password = if redacted { "xxxxx" } else { password };
                    encode(&mut out, password, Part::User);
                }
                out.push('@');
            }
            encode(&mut out, host, Part::Host);
        }
        out.push_str(&self.path);
        out.push_str(&self.query);
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&self.fragment);
        }
        out
    }
}

/// The scheme in small letters, and what follows its colon.
fn scheme(text: &str) -> Result<(String, &str), String> {
    for (at, character) in text.char_indices() {
        match character {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("its scheme is missing".to_owned()),
            ':' => {
                let (scheme, rest) = text.split_at(at);
                let rest = rest.strip_prefix(':').unwrap_or(rest);
                return Ok((scheme.to_ascii_lowercase(), rest));
            }
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn check_host(text: &str) -> Result<String, String> {
    let (name, after) = match (text.starts_with('['), text.rfind(']')) {
        (true, None) => return Err("a bracket of its host is not closed".to_owned()),
        (true, Some(at)) => text.split_at(at + 1),
        (false, _) => match text.rfind(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let is_port = |it: &str| {
        it.strip_prefix(':')
            .is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()))
    };
    if !after.is_empty() && !is_port(after) {
        return Err("its port is no number".to_owned());
    }
    Ok(decoded(name, Part::Host)? + after)
}

fn decoded(text: &str, part: Part) -> Result<String, String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next(), bytes.next()].map(|it| {
                let digit = char::from(it.unwrap_or(b' ')).to_digit(16)?;
                u8::try_from(digit).ok()
            });
            let [Some(high), Some(low)] = digits else {
                return Err("a percent sign is not followed by two hexadecimal digits".to_owned());
            };
            let byte = high * 16 + low;
            if part == Part::Host && byte < 0x80 && byte != b'%' {
                return Err("its host is percent-encoded".to_owned());
            }
            out.push(byte);
        } else if part == Part::Host && byte < 0x80 && must_encode(byte, part) {
            return Err(format!("its host has the character {:?}", char::from(byte)));
        } else {
            out.push(byte);
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Checks a part, and gives it back as it was when all of it may stand there, else encoded anew.
fn written(text: &str, part: Part) -> Result<String, String> {
    let plain = decoded(text, part)?;
    let valid = text.bytes().all(|it| match it {
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
        | b'@' | b'[' | b']' | b'%' => true,
        it => !must_encode(it, part),
    });
    if valid {
        return Ok(text.to_owned());
    }
    let mut out = String::new();
    encode(&mut out, &plain, part);
    Ok(out)
}

fn encode(out: &mut String, text: &str, part: Part) {
    for byte in text.bytes() {
        if must_encode(byte, part) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
}

fn must_encode(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b';' | b'=' => false,
        b'/' | b':' | b'@' if part == Part::Path => false,
        b'/' | b':' | b'@' | b'?' | b'!' | b'(' | b')' | b'*' if part == Part::Fragment => false,
        b'!' | b'\'' | b'(' | b')' | b'*' | b':' | b'[' | b']' | b'<' | b'>' | b'"'
            if part == Part::Host =>
        {
            false
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{http, redacted};

    /// Right column: as Go writes it.
    #[test]
    fn urls() {
        for (text, expect) in [
            ("http://a", Ok("http://a")),
            ("HTTPS://A.example/", Ok("https://A.example/")),
            ("http://a:80/b/c?d=e f#g", Ok("http://a:80/b/c?d=e f#g")),
            ("http://a/b c", Ok("http://a/b%20c")),
            ("http://a/ü", Ok("http://a/%C3%BC")),
            ("http://a/%2f(x)", Ok("http://a/%2f(x)")),
            ("http://[::1]:9093/x", Ok("http://[::1]:9093/x")),
            ("http://u:p%40@a/", Ok("http://u:p%40@a/")),
            ("http://a?", Ok("http://a?")),
            ("", Err("it must start with http:// or https://")),
            ("a/b", Err("it must start with http:// or https://")),
            ("ftp://a", Err("it must start with http:// or https://")),
            ("http:a", Err("it has no host")),
            ("http:///b", Err("it has no host")),
            (":a", Err("its scheme is missing")),
            ("http://a:x/", Err("its port is no number")),
            ("http://[::1/", Err("a bracket of its host is not closed")),
            ("http://a b/", Err("its host has the character ' '")),
            (
                "http://u ser@a/",
                Err("its user name or password must be percent-encoded"),
            ),
            (
                "http://a/%zz",
                Err("a percent sign is not followed by two hexadecimal digits"),
            ),
            ("http://a/\u{7f}", Err("it has a control character")),
        ] {
            let found = http(text);
            let found = found.as_ref().map(String::as_str).map_err(String::as_str);
            assert_eq!(found, expect, "{text}");
        }
        for (text, expect) in [
            ("http://u:secret@proxy:3128", "http://u:xxxxx@proxy:3128"),
            ("http://u@proxy", "http://u@proxy"),
            ("socks5://proxy:1080", "socks5://proxy:1080"),
            ("proxy", "proxy"),
            ("", ""),
        ] {
            assert_eq!(redacted(text).as_deref(), Ok(expect), "{text}");
        }
    }
}
