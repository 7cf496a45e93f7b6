//! `check-config`: whether configuration files and their templates can be used.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::Args;
use daemon::chain;
use serde_json::Value;

use super::Session;
use crate::{
    config::{self, Config, ConfigError},
    template::Templates,
};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Make it a mistake when a receiver has a kind of integration that alert-router does not send.
    #[arg(long)]
    strict_receivers: bool,
    /// The files; standard input when none is named.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Command {
    pub(super) fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let mut files = self.files.clone();
        if files.is_empty() {
            if io::stdin().is_terminal() {
                return Err("name a file to be checked, or pass one to standard input".to_owned());
            }
            files.push(PathBuf::from("/dev/stdin"));
        }
        if let Some(missing) = files.iter().find(|it| !it.exists()) {
            return Err(format!("path '{}' does not exist", missing.display()));
        }
        let mut failed = 0;
        for file in &files {
            let (text, is_good) = check(file, self.strict_receivers, &|path, text| {
                session.parse(path, text)
            });
            session.print(&text)?;
            failed += usize::from(!is_good);
        }
        if failed > 0 {
            return Err(format!("failed to validate {failed} file(s)"));
        }
        Ok(())
    }
}

/// Reads the text of a configuration.
type Parse<'a> = dyn Fn(&Path, &str) -> Result<Config, ConfigError> + 'a;

/// What is said of a file, and whether all of it is good.
fn check(path: &Path, strict: bool, parse: &Parse<'_>) -> (String, bool) {
    let name = path.display();
    let failed = |error: String| (format!("Checking '{name}'  FAILED: {error}\n\n"), false);
    let text = match config::read(path) {
        Ok(text) => text,
        Err(error) => return failed(format!("cannot read it: {error}")),
    };
    let templates = Part::new(&text, path);
    let (config, mistake) = match (parse(path, &text), templates.error) {
        (Ok(config), _) => (config, None),
        // Whether the rest is good is another question than whether the templates are.
        (Err(error), Some(mistake)) => match parse(path, &templates.rest) {
            Ok(config) => (config, Some(mistake)),
            Err(_) => return failed(error.to_string()),
        },
        (Err(error), None) => return failed(error.to_string()),
    };
    let mut out = format!(
        "Checking '{name}'  SUCCESS\nFound:\n - global config\n - route\n - {} inhibit rules\n - {} receivers\n - {} templates\n",
        config.inhibit_rules.len(),
        config.receivers.len(),
        templates.count
    );
    match &mistake {
        Some(mistake) => out.push_str(&format!("  FAILED: {mistake}\n")),
        None if templates.count > 0 => out.push_str("  SUCCESS\n"),
        None => {}
    }
    let unsent = unsent(&config);
    for line in &unsent {
        let head = if strict { "FAILED" } else { "WARNING" };
        out.push_str(&format!("  {head}: {line}\n"));
    }
    out.push('\n');
    (out, mistake.is_none() && (unsent.is_empty() || !strict))
}

/// The templates of a configuration, apart from the rest.
#[derive(Default)]
struct Part {
    count: usize,
    error: Option<String>,
    rest: String,
}

impl Part {
    fn new(text: &str, path: &Path) -> Self {
        let Ok(Value::Object(mut file)) = serde_saphyr::from_str(text) else {
            return Self::default();
        };
        let patterns = file.remove("templates");
        let patterns: Vec<PathBuf> = patterns
            .and_then(|it| serde_json::from_value(it).ok())
            .unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let patterns: Vec<_> = patterns.iter().map(|it| folder.join(it)).collect();
        let loaded = Templates::load(&patterns);
        Self {
            count: patterns.len(),
            error: loaded.err().map(|error| chain(&error).to_string()),
            // JSON is YAML.
            rest: Value::Object(file).to_string(),
        }
    }
}

/// Of each receiver with kinds of integrations that are not sent, a line.
fn unsent(config: &Config) -> Vec<String> {
    let receivers = config.receivers.iter().filter(|it| !it.unsent.is_empty());
    let lines = receivers.map(|receiver| {
        let kinds = receiver.unsent.join(", ");
        let instead = match &receiver.fallback {
            Some(fallback) => format!("{fallback:?} gets it"),
            None => {
                "nobody gets it: name a receiver in fallback, or use webhook_configs".to_owned()
            }
        };
        format!(
            "receiver {:?}: alert-router does not send {kinds}; {instead}",
            receiver.name
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{check, unsent};
    use crate::config::Config;

    #[test]
    fn templates_and_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yml");
        fs::write(folder.path().join("bad.tmpl"), "{{ if }}").unwrap();
        fs::write(folder.path().join("good.tmpl"), "x").unwrap();
        let route = "route: {receiver: a}\nreceivers: [{name: a}]\n";
        for (text, expect, is_good) in [
            (
                format!("{route}templates: [good.tmpl]"),
                " - 1 templates\n  SUCCESS\n\n",
                true,
            ),
            (
                format!("{route}templates: [bad.tmpl]"),
                " - 1 templates\n  FAILED: ",
                false,
            ),
            (
                "route: {receiver: b}\nreceivers: [{name: a}]\ntemplates: [bad.tmpl]".to_owned(),
                "a.yml'  FAILED: ",
                false,
            ),
            ("templates: [".to_owned(), "a.yml'  FAILED: ", false),
        ] {
            fs::write(&path, &text).unwrap();
            let found = check(&path, false, &Config::parse);
            assert!(found.0.contains(expect), "{text}: {}", found.0);
            assert_eq!(found.1, is_good, "{text}");
        }
        assert!(
            check(folder.path(), false, &Config::parse)
                .0
                .contains("FAILED: cannot read it")
        );
    }

    #[test]
    fn what_is_not_sent_is_named() {
        let text = "route: {receiver: a}\nreceivers: [{name: a}]\n";
        let mut config = Config::parse(Path::new("a.yml"), text).unwrap();
        assert!(unsent(&config).is_empty());
        config.receivers[0].unsent = vec!["opsgenie", "sns"];
        assert_eq!(
            unsent(&config),
            [
                "receiver \"a\": alert-router does not send opsgenie, sns; nobody gets it: name a receiver in fallback, or use webhook_configs"
            ]
        );
        config.receivers[0].fallback = Some("b".to_owned());
        assert!(unsent(&config)[0].ends_with("opsgenie, sns; \"b\" gets it"));
    }
}
