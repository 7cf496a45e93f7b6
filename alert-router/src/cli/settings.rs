//! amtool's own configuration files: flags that are given each time, by their names.

use std::{collections::BTreeMap, ffi::OsString, io, path::PathBuf};

use serde_json::Value;

use crate::config;

/// Of a key's older name.
const RENAMED: [(&str, &str); 1] = [("comment_required", "require-comment")];

/// Reads the user's file and the machine's. What the first says, the second does not change.
pub(super) fn read(
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<BTreeMap<String, String>, String> {
    let home = environment("HOME").map(|it| PathBuf::from(it).join(".config/amtool/config.yml"));
    let mut settings = BTreeMap::new();
    for path in home
        .into_iter()
        .chain([PathBuf::from("/etc/amtool/config.yml")])
    {
        let text = match config::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let found = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        for (name, value) in found {
            settings.entry(name).or_insert(value);
        }
    }
    Ok(settings)
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.lines().all(|it| it.trim().is_empty()) {
        return Ok(BTreeMap::new());
    }
    let shape =
        "it is no list of flags and values, such as: alertmanager.url: http://localhost:9093";
    let values: BTreeMap<String, Value> =
        serde_saphyr::from_str(text).map_err(|_error| shape.to_owned())?;
    let mut settings = BTreeMap::new();
    for (name, value) in &values {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => String::new(),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("{name} must be one word or number"));
            }
        };
        match RENAMED.iter().find(|(old, _)| old == name) {
            Some((_, new)) if values.contains_key(*new) => {}
            Some((_, new)) => drop(settings.insert((*new).to_owned(), value)),
            None => drop(settings.insert(name.clone(), value)),
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{parse, read};

    #[test]
    fn files() {
        for (text, expect) in [
            ("", Ok("{}")),
            (
                "alertmanager.url: http://a\ncomment_required: true\ntimeout: 5s",
                Ok(
                    r#"{"alertmanager.url": "http://a", "require-comment": "true", "timeout": "5s"}"#,
                ),
            ),
            (
                "comment_required: true\nrequire-comment: false",
                Ok(r#"{"require-comment": "false"}"#),
            ),
            (
                "- a",
                Err(
                    "it is no list of flags and values, such as: alertmanager.url: http://localhost:9093",
                ),
            ),
            ("author: [a]", Err("author must be one word or number")),
        ] {
            let found = parse(text).map(|it| format!("{it:?}"));
            let found = found.as_deref().map_err(String::as_str);
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn the_home_of_the_user() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/amtool");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yml"), "author: me\n").unwrap();
        let environment = |name: &str| (name == "HOME").then(|| home.path().into());
        assert_eq!(read(&environment).unwrap()["author"], "me");
        fs::write(folder.join("config.yml"), "- me\n").unwrap();
        let error = read(&environment).unwrap_err();
        assert!(error.ends_with("config.yml: it is no list of flags and values, such as: alertmanager.url: http://localhost:9093"), "{error}");
    }
}
