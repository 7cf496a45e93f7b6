//! `${NAME}` and `${credential:NAME}` in values of the file: the environment, and the credentials that systemd hands over.

use std::{fs, io::Read as _, path::Path};

/// systemd gives no larger one.
const MAX_CREDENTIAL: u64 = 1 << 20;

/// The values of the names in `${…}`.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// Where credentials are.
    pub(super) credentials: Option<&'a Path>,
}

/// Puts the values in; `$$` is `$`, and a `$` before anything but these two is itself. None when nothing is to be put in.
pub(super) fn expand(text: &str, sources: &Sources<'_>) -> Result<Option<String>, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or("a ${ is not closed; write $${ for one that stands for itself")?;
            out.push_str(&sources.value(name)?);
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok((out != text).then_some(out))
}

impl Sources<'_> {
    fn value(&self, name: &str) -> Result<String, String> {
        if let Some(name) = name.strip_prefix("credential:") {
            return self.credential(name);
        }
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!(
                "${{{name}}} is neither ${{NAME}} nor ${{credential:NAME}}; write $$ for a $ that stands for itself"
            ));
        }
        (self.environment)(name)
            .ok_or_else(|| format!("the environment variable {name} is not set"))
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(format!("{name:?} is no name of a credential"));
        }
        let folder = self.credentials.ok_or_else(|| {
            format!("the credential {name} is not there: systemd sets CREDENTIALS_DIRECTORY for LoadCredential= and its kin")
        })?;
        let mut text = String::new();
        fs::File::open(folder.join(name))
            .and_then(|it| it.take(MAX_CREDENTIAL + 1).read_to_string(&mut text))
            .map_err(|error| format!("cannot read the credential {name}: {error}"))?;
        if u64::try_from(text.len()).is_ok_and(|it| it > MAX_CREDENTIAL) {
            return Err(format!("the credential {name} has more than 1 MiB"));
        }
        // The line feed that editors leave.
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Sources, expand};

    #[test]
    fn values() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        let environment = |name: &str| match name {
            "HOST" => Some("mail".to_owned()),
            "EMPTY" => Some(String::new()),
            "ODD" => Some("${HOST}: \"x\n".to_owned()),
            _ => None,
        };
        let sources = Sources {
            environment: &environment,
            credentials: Some(folder.path()),
        };
        for (text, expect) in [
            ("plain", Ok(None)),
            ("{{ $x }} $", Ok(None)),
            ("${HOST}:25", Ok(Some("mail:25"))),
            ("a$${HOST}", Ok(Some("a${HOST}"))),
            ("$$$$", Ok(Some("$$"))),
            ("a${EMPTY}b", Ok(Some("ab"))),
            // What is put in is not looked at again.
            ("${ODD}", Ok(Some("${HOST}: \"x\n"))),
            ("${credential:token}", Ok(Some("s3cret"))),
            ("${NONE}", Err("the environment variable NONE is not set")),
            (
                "${HOST",
                Err("a ${ is not closed; write $${ for one that stands for itself"),
            ),
            (
                "${}",
                Err(
                    "${} is neither ${NAME} nor ${credential:NAME}; write $$ for a $ that stands for itself",
                ),
            ),
            (
                "${HOST:-x}",
                Err(
                    "${HOST:-x} is neither ${NAME} nor ${credential:NAME}; write $$ for a $ that stands for itself",
                ),
            ),
            (
                "${credential:../x}",
                Err("\"../x\" is no name of a credential"),
            ),
            (
                "${credential:none}",
                Err("cannot read the credential none: No such file or directory (os error 2)"),
            ),
        ] {
            let found = expand(text, &sources);
            let found = found.as_ref().map(Option::as_deref).map_err(String::as_str);
            assert_eq!(found, expect, "{text}");
        }
        let sources = Sources {
            credentials: None,
            ..sources
        };
        assert!(expand("${credential:token}", &sources).is_err());
    }
}
