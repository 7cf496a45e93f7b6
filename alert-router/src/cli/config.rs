//! `config show`, `config routes`, `config routes test`: the configuration of the server or of a file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, matching::pairs, say, server::Server};
use crate::{
    alert::Pairs,
    config::{Config, Options, Route},
    matcher::Mode,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the server's configuration, without its secrets. What `config` means alone.
    ///
    /// `--output=extended` adds since when it runs and its version, `--output=json` shows all of its status.
    Show,
    /// Print the tree of routes, or try which of them labels take.
    Routes(Routes),
}

#[derive(Debug, Args)]
pub(super) struct Routes {
    /// The configuration file; by default the server's configuration is asked for.
    #[arg(long = "config.file", value_name = "FILE", global = true)]
    file: Option<PathBuf>,
    #[command(subcommand)]
    command: RoutesCommand,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    /// Print the tree of routes. What `config routes` means alone.
    Show,
    /// Print the receivers that an alert with these labels goes to.
    ///
    /// In the order of the tree: `config routes test --config.file=alertmanager.yml --verify.receivers=db service=database`.
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// What is to come out, with commas between; something else ends with the exit code 1.
    #[arg(
        long = "verify.receivers",
        value_name = "NAMES",
        default_value = "",
        hide_default_value = true
    )]
    verify: String,
    /// Print the routes that match, too.
    #[arg(long)]
    tree: bool,
    /// The alert's labels, name=value.
    #[arg(value_name = "NAME=VALUE")]
    labels: Vec<String>,
}

impl Command {
    /// Whether all is as it was said to be.
    pub(super) async fn run(&self, session: &Session<'_>) -> Result<bool, String> {
        match self {
            Self::Show => {
                let server = Server::open(session).await?;
                let status = server.get(&["v2", "status"], &[]).await?;
                session.show_config(&status)?;
                Ok(true)
            }
            Self::Routes(routes) => routes.run(session).await,
        }
    }
}

impl Routes {
    async fn run(&self, session: &Session<'_>) -> Result<bool, String> {
        let config = self.load(session).await?;
        let test = match &self.command {
            RoutesCommand::Show => {
                let mut text = "Routing tree:\n.\n".to_owned();
                draw(&Node::of(&config.route), "", true, &mut text);
                session.print(&format!("{text}\n"))?;
                return Ok(true);
            }
            RoutesCommand::Test(test) => test,
        };
        let labels = pairs("labels", &test.labels, session.flags.matchers())?;
        if test.tree {
            let mut text = "Matching routes:\n.\n".to_owned();
            draw(&Node::matching(&config.route, &labels), "", true, &mut text);
            session.print(&format!("{text}\n\n"))?;
        }
        let routes = config.route.matching(&labels);
        let receivers: Vec<_> = routes.iter().map(|it| it.receiver.as_str()).collect();
        let receivers = receivers.join(",");
        session.print(&format!("{receivers}\n"))?;
        if test.verify.is_empty() || test.verify == receivers {
            return Ok(true);
        }
        session.print("WARNING: Expected receivers did not match resolved receivers.\n")?;
        Ok(false)
    }

    async fn load(&self, session: &Session<'_>) -> Result<Config, String> {
        if let Some(path) = &self.file {
            if session.flags.url.is_some() {
                say("warning: --config.file flag overrides the --alertmanager.url.");
            }
            return session.load(path);
        }
        if session.flags.url.is_none() {
            return Err(
                "You have to specify one of --config.file or --alertmanager.url flags.".to_owned(),
            );
        }
        let server = Server::open(session).await?;
        let status: Value = server.get(&["v2", "status"], &[]).await?;
        let text = status.pointer("/config/original").and_then(Value::as_str);
        routes_of(text.unwrap_or_default(), session.flags.matchers())
    }
}

/// What routes need of a configuration that was shown: its secrets are hidden, and its files are on another machine, so that the rest
/// cannot be checked here.
fn routes_of(text: &str, matchers: Mode) -> Result<Config, String> {
    let wrong = |error: &str| format!("the server's configuration cannot be used here: {error}");
    let shown: Value = serde_saphyr::from_str(text).map_err(|_error| wrong("it is no YAML"))?;
    let mut kept = json!({});
    for key in ["route", "time_intervals", "mute_time_intervals"] {
        if let Some(value) = shown.get(key).filter(|it| !it.is_null()) {
            kept[key] = value.clone();
        }
    }
    let receivers = shown.get("receivers").and_then(Value::as_array);
    let receivers = receivers.into_iter().flatten();
    let receivers = receivers.filter_map(|it| Some(json!({"name": it.get("name")?})));
    kept["receivers"] = receivers.collect();
    // JSON is YAML.
    let options = Options {
        matchers,
        ..Options::default()
    };
    Config::parse_with(Path::new("routes"), &kept.to_string(), &options, &|_| None)
        .map_err(|error| wrong(&error.reason))
}

/// A line of a tree, and what hangs below it.
struct Node {
    text: String,
    below: Vec<Self>,
}

impl Node {
    fn of(route: &Route) -> Self {
        let goes_on = if route.goes_on {
            "  continue: true"
        } else {
            ""
        };
        Self {
            text: format!("{}{goes_on}  receiver: {}", name(route), route.receiver),
            below: route.routes.iter().map(|it| Self::of(it)).collect(),
        }
    }

    /// Only those that an alert with these labels comes by, with the receivers that it comes to.
    fn matching(route: &Route, labels: &Pairs) -> Self {
        let mut below = Vec::new();
        for next in &route.routes {
            if next.matchers.iter().all(|it| it.matches(labels)) {
                below.push(Self::matching(next, labels));
                if !next.goes_on {
                    break;
                }
            }
        }
        let mut text = name(route);
        if below.is_empty() {
            text.push_str(&format!("  receiver: {}", route.receiver));
        }
        Self { text, below }
    }
}

fn name(route: &Route) -> String {
    if route.matchers.is_empty() {
        return "default-route".to_owned();
    }
    let matchers: Vec<_> = route.matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", matchers.join(","))
}

fn draw(node: &Node, before: &str, is_last: bool, out: &mut String) {
    let (edge, link) = if is_last {
        ("└── ", "    ")
    } else {
        ("├── ", "│   ")
    };
    out.push_str(&format!("{before}{edge}{}\n", node.text));
    let before = format!("{before}{link}");
    let last = node.below.len().saturating_sub(1);
    for (at, below) in node.below.iter().enumerate() {
        draw(below, &before, at == last, out);
    }
}

#[cfg(test)]
mod tests {
    use super::routes_of;
    use crate::matcher::Mode;

    #[test]
    fn what_a_server_shows_is_enough() {
        let config = routes_of(
            "global: {slack_api_url: <secret>}\nroute: {receiver: a}\nreceivers: [{name: a, new_configs: [{url: <secret>}]}]\ntemplates: [/nowhere/*]",
            Mode::Fallback,
        );
        assert_eq!(config.unwrap().route.receiver, "a");
        for (text, expect) in [
            (
                "",
                "the server's configuration cannot be used here: route is missing: add a route with a receiver",
            ),
            (
                "a: [",
                "the server's configuration cannot be used here: it is no YAML",
            ),
        ] {
            assert_eq!(routes_of(text, Mode::Fallback).unwrap_err(), expect);
        }
    }
}
