//! The JSON Schema of `config.json`, for editors: made of the same table that the file is read by.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::keys::{Holds, KEYS, Key, Required};
use crate::output;

/// `provisioner schema`.
pub(crate) fn print_schema() -> anyhow::Result<ExitCode> {
    output::say(serde_json::to_string_pretty(&schema())?);
    Ok(ExitCode::SUCCESS)
}

/// The schema, as draft 7, which editors know best.
fn schema() -> Value {
    let mut schema = object(KEYS);
    let root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of a Scalar DL network",
    });
    if let (Some(schema), Some(root)) = (schema.as_object_mut(), root.as_object()) {
        schema.extend(root.clone());
    }
    schema
}

fn object(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required = keys.iter().filter(|it| it.required == Required::Always);
    let required: Vec<_> = required.map(|it| it.name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

fn property(key: &Key) -> Value {
    let mut property = match key.holds {
        Holds::Text | Holds::Path | Holds::Secret | Holds::SecretUrl => json!({"type": "string"}),
        Holds::Word => json!({"type": "string", "pattern": "^[A-Za-z0-9-]{0,32}$"}),
        Holds::Choice(choices) => json!({"enum": choices}),
        Holds::Number => {
            json!({"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]*$"})
        }
        Holds::Decimal => {
            json!({"type": ["number", "string"], "pattern": "^(-?[0-9]+([.][0-9]+)?)?$"})
        }
        Holds::Switch => json!({"enum": [true, false, "true", "false"]}),
        Holds::Duration => json!({"type": "string", "pattern": "^([0-9]+(y|w|d|h|m|s|ms))*$"}),
        Holds::Size => json!({"type": "string", "pattern": "^([0-9]+[EPTGMK]?B)*$"}),
        Holds::Url => json!({"type": "string", "format": "uri"}),
        Holds::Address => json!({"type": "string", "pattern": "^(.+:[0-9]+)?$"}),
        Holds::Choices(choices) => {
            json!({"type": "array", "items": {"enum": choices}, "uniqueItems": true})
        }
        Holds::Networks | Holds::Services => {
            json!({"type": "array", "items": {"type": "string"}})
        }
        Holds::Texts => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Holds::Ports(names) => {
            let port = json!({"type": ["integer", "string"], "minimum": 1, "maximum": 65535});
            let ports = names.iter().map(|it| ((*it).to_owned(), port.clone()));
            let ports: Map<String, Value> = ports.collect();
            json!({"type": "object", "additionalProperties": false, "properties": ports})
        }
        Holds::Objects(keys) => json!({"type": "array", "items": object(keys)}),
        Holds::Named(keys) => json!({"type": "object", "additionalProperties": object(keys)}),
    };
    if let Some(property) = property.as_object_mut() {
        property.insert("description".to_owned(), key.about.into());
    }
    property
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_checked_in_one() {
        let path = testkit::root().join("provisioner/config.schema.json");
        let text = serde_json::to_string_pretty(&super::schema()).unwrap() + "\n";
        testkit::golden::check(&path, &text);
    }

    #[test]
    fn the_guide_and_the_readme_have_every_key() {
        for page in ["docs/3-configuration.md", "provisioner/README.md"] {
            has_every_key(page);
        }
    }

    fn has_every_key(page: &str) {
        let path = testkit::root().join(page);
        let readme = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = (
            "<!-- begin of the keys, written by src/config/schema.rs -->\n",
            "<!-- end of the keys -->",
        );
        let (head, rest) = readme.split_once(begin).unwrap();
        let (_, tail) = rest.split_once(end).unwrap();
        let mut table = "| key | | |\n|---|---|---|\n".to_owned();
        for key in super::KEYS {
            let required = match key.required {
                super::Required::Never => "",
                super::Required::Always => "required",
                super::Required::OnAws => "required on aws",
            };
            table += &format!("| `{}` | {} | {required} |\n", key.name, key.about);
        }
        testkit::golden::check(&path, &format!("{head}{begin}{table}{end}{tail}"));
    }
}
