//! `template render`: what a template makes of an alert, without a server.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use daemon::chain;

use super::Session;
use crate::template::{Data, Templates};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Render a text with Alertmanager's templates and your own.
    Render(Render),
}

#[derive(Debug, Args)]
pub(super) struct Render {
    /// Template files, as in the configuration's templates; may be given several times.
    #[arg(long = "template.glob", value_name = "PATTERN")]
    globs: Vec<PathBuf>,
    /// What is rendered, such as '{{ template "slack.default.title" . }}'.
    #[arg(long = "template.text", value_name = "TEXT")]
    text: String,
    /// HTML escapes what it shows.
    #[arg(
        long = "template.type",
        value_name = "TYPE",
        value_enum,
        default_value = "text"
    )]
    kind: Type,
    /// A file of what templates are given, as JSON; an example when it is missing.
    #[arg(long = "template.data", value_name = "FILE")]
    data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    Text,
    Html,
}

impl Command {
    pub(super) fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let Self::Render(render) = self;
        let templates =
            Templates::load(&render.globs).map_err(|error| chain(&error).to_string())?;
        let now = session.now;
        let data = match &render.data {
            None => Data::example(now),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                Data::from_json(&text).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        let rendered = match render.kind {
            Type::Text => templates.text(&render.text, &data, now),
            Type::Html => templates.html(&render.text, &data, now),
        };
        session.print(&rendered?)
    }
}
