//! `silence query`, `add`, `update`, `expire`, `import`, `export`.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    Session,
    matching::{alertname_first, matcher, pairs},
    output::Silence,
    say,
    server::{CallError, Server},
    time::{self, Moment},
};
use crate::alert::{after, since};

/// A larger file is no list of silences.
const MAX_FILE: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the silences that match. What `silence` means alone.
    ///
    /// A first word without an operator is a value of alertname. `--within 8h` shows those that end within 8 hours;
    /// `--expired --within 2h` those that ended within the last 2.
    Query(Query),
    /// Add a silence, and print its ID: `silence add Foo node=~a.* --comment=why --duration=2h`.
    Add(Add),
    /// Change silences: when they start and end, and what is said about them.
    Update(Update),
    /// End silences.
    Expire(Expire),
    /// Add or update silences from a file of JSON, as `silence export` and `silence query -o json` write it.
    Import(Import),
    /// Print the silences that are not over, in the form that import takes, one a line.
    Export(Export),
}

#[derive(Debug, Args)]
pub(super) struct Query {
    /// Show expired silences instead of active ones.
    #[arg(long)]
    expired: bool,
    /// Show nothing but IDs.
    #[arg(short, long)]
    quiet: bool,
    /// Show silences of this creator.
    #[arg(long, value_name = "NAME")]
    created_by: Option<String>,
    /// Show the silence with this ID.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Show silences that end, or have ended, within this time.
    #[arg(long, value_name = "DURATION", value_parser = time::duration)]
    within: Option<Duration>,
    /// What the silences' labels must be: name=value, name!=value, name=~regex, name!~regex.
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Who silences; by default the user.
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Refuse a silence without a comment; `--no-require-comment` takes it.
    #[arg(long, alias = "comment-required", default_value = "true")]
    require_comment: bool,
    /// How long it lasts.
    #[arg(short, long, value_name = "DURATION", default_value = "1h", value_parser = time::span)]
    duration: Duration,
    /// When it starts, such as 2026-01-02T15:04:05+01:00; now when it is missing.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    start: Option<Moment>,
    /// When it ends; goes before the duration.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    end: Option<Moment>,
    /// Why.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    comment: String,
    /// An annotation, name=value; may be given several times.
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    annotations: Vec<String>,
    /// What labels must be: name=value, name!=value, name=~regex, name!~regex.
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// Show nothing but IDs.
    #[arg(short, long)]
    quiet: bool,
    /// How long it lasts, from its start.
    #[arg(short, long, value_name = "DURATION", value_parser = time::span)]
    duration: Option<Duration>,
    /// When it starts, such as 2026-01-02T15:04:05+01:00.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    start: Option<Moment>,
    /// When it ends; goes before the duration.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    end: Option<Moment>,
    /// Why.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Which ones.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Expire {
    /// Which ones.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Add all of them anew, also those that are there already.
    #[arg(short, long)]
    force: bool,
    /// How many are sent at a time.
    #[arg(short, long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(1..))]
    worker: u16,
    /// The file; standard input when it is missing.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// What the silences' labels must be; all when it is missing.
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    #[serde(rename = "silenceID")]
    id: String,
}

impl Command {
    pub(super) async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        match self {
            Self::Query(query) => query.run(session).await,
            Self::Add(add) => add.run(session).await,
            Self::Update(update) => update.run(session).await,
            Self::Expire(expire) => expire.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Export(export) => export.run(session).await,
        }
    }
}

impl Query {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let mut silences = get(session, &self.matchers).await?;
        silences.retain(|it| self.wants(it, session.now));
        if self.quiet {
            return session.print(&ids(&silences));
        }
        session.show_silences(silences)
    }

    fn wants(&self, silence: &Silence, now: Timestamp) -> bool {
        let ends = silence.ends_at.at();
        let by_time = if self.expired {
            ends <= now
        } else {
            ends >= now
        };
        // How far the end is away, before or behind.
        let distance = since(ends.max(now), ends.min(now));
        by_time
            && self.within.is_none_or(|it| it.is_zero() || distance <= it)
            && self
                .created_by
                .as_ref()
                .is_none_or(|it| it.is_empty() || *it == silence.created_by)
            && self
                .id
                .as_ref()
                .is_none_or(|it| it.is_empty() || *it == silence.id)
    }
}

impl Add {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let silence = self.silence(session)?;
        let server = Server::open(session).await?;
        let added: Added = server.post(&["v2", "silences"], &[], &silence).await?;
        session.print(&format!("{}\n", added.id))
    }

    fn silence(&self, session: &Session<'_>) -> Result<Silence, String> {
        let mode = session.flags.matchers();
        let matchers = alertname_first(&self.matchers, mode);
        let matchers: Result<Vec<_>, String> = matchers
            .iter()
            .map(|it| matcher(it, mode).map(Into::into))
            .collect();
        let matchers = matchers?;
        if matchers.is_empty() {
            return Err(
                "no matchers specified; name what is to be silenced, such as Foo or node=bar"
                    .to_owned(),
            );
        }
        let now = || Moment::utc(session.now);
        let starts_at = self.start.clone().unwrap_or_else(now);
        let ends_at = end(&starts_at, self.end.as_ref(), Some(self.duration))?;
        let ends_at = ends_at.unwrap_or_else(now);
        in_order(&starts_at, &ends_at)?;
        if self.require_comment && self.comment.is_empty() {
            return Err(
                "comment required by config; say why by --comment, or give --no-require-comment"
                    .to_owned(),
            );
        }
        Ok(Silence {
            id: String::new(),
            status: None,
            updated_at: None,
            annotations: pairs("annotations", &self.annotations, mode)?,
            comment: self.comment.clone(),
            created_by: self.author.clone().unwrap_or_else(|| session.user()),
            ends_at,
            matchers,
            starts_at,
        })
    }
}

impl Update {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        if self.ids.is_empty() {
            return Err("no silence IDs specified".to_owned());
        }
        let server = Server::open(session).await?;
        let mut updated = Vec::new();
        for id in &self.ids {
            let mut silence: Silence = server.get(&["v2", "silence", id], &[]).await?;
            if let Some(start) = &self.start {
                silence.starts_at = start.clone();
            }
            if let Some(end) = end(&silence.starts_at, self.end.as_ref(), self.duration)? {
                silence.ends_at = end;
            }
            in_order(&silence.starts_at, &silence.ends_at)?;
            if !self.comment.is_empty() {
                silence.comment.clone_from(&self.comment);
            }
            let posted = silence.clone().postable();
            let added: Added = server.post(&["v2", "silences"], &[], &posted).await?;
            silence.id = added.id;
            updated.push(silence);
        }
        if self.quiet {
            return session.print(&ids(&updated));
        }
        session.show_silences(updated)
    }
}

impl Expire {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        if self.ids.is_empty() {
            return Err("no silence IDs specified".to_owned());
        }
        let server = Server::open(session).await?;
        for id in &self.ids {
            server.delete(&["v2", "silence", id]).await?;
        }
        Ok(())
    }
}

impl Import {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let text = read(self.file.as_deref())?;
        let silences: Vec<Value> = serde_json::from_str(&text).map_err(|error| {
            format!("couldn't unmarshal input data, is it a JSON list of silences, as silence export writes it? {error}")
        })?;
        let count = silences.len();
        let server = Server::open(session).await?;
        let workers = Arc::new(Semaphore::new(usize::from(self.worker)));
        let tasks: Vec<_> = silences
            .into_iter()
            .map(|silence| {
                let (server, workers) = (server.clone(), Arc::clone(&workers));
                let id = silence.get("id").and_then(Value::as_str);
                let id = id.unwrap_or_default().to_owned();
                let force = self.force;
                let task = tokio::spawn(async move {
                    // The semaphore is never closed.
                    let _permit = workers.acquire_owned().await;
                    import(&server, silence, force).await
                });
                (id, task)
            })
            .collect();
        let mut failed = 0;
        for (id, task) in tasks {
            let added = task.await.map_err(|error| error.to_string())?;
            match added {
                Ok(added) => session.print(&format!("{added}\n"))?,
                Err(error) => {
                    failed += 1;
                    say(&format!("Error adding silence id='{id}': {error}"));
                }
            }
        }
        if failed > 0 {
            return Err(format!("couldn't import {failed} out of {count} silences"));
        }
        Ok(())
    }
}

/// Sends one; one whose ID the server does not know gets a new one.
async fn import(server: &Server, silence: Value, force: bool) -> Result<String, String> {
    let silence: Silence = serde_json::from_value(silence).map_err(|error| error.to_string())?;
    let mut silence = silence.postable();
    if force {
        silence.id.clear();
    }
    let path = ["v2", "silences"];
    let added: Result<Added, CallError> = server.post(&path, &[], &silence).await;
    let added = match added {
        Err(CallError::Refused { status, .. })
            if status == client::StatusCode::NOT_FOUND && !silence.id.is_empty() =>
        {
            silence.id.clear();
            server.post(&path, &[], &silence).await
        }
        other => other,
    };
    Ok(added?.id)
}

impl Export {
    async fn run(&self, session: &Session<'_>) -> Result<(), String> {
        let mut silences = get(session, &self.matchers).await?;
        silences.retain(|it| it.ends_at.at() > session.now);
        silences.sort_by(|a, b| a.id.cmp(&b.id));
        let lines: Result<Vec<_>, _> = silences
            .into_iter()
            .map(|it| serde_json::to_string(&it.postable()))
            .collect();
        let lines = lines.map_err(|error| error.to_string())?;
        session.print(&format!("[\n{}\n]\n", lines.join(",\n")))
    }
}

async fn get(session: &Session<'_>, matchers: &[String]) -> Result<Vec<Silence>, String> {
    let matchers = alertname_first(matchers, session.flags.matchers());
    let query: Vec<_> = matchers.iter().map(|it| ("filter", it.as_str())).collect();
    let server = Server::open(session).await?;
    Ok(server.get(&["v2", "silences"], &query).await?)
}

fn ids(silences: &[Silence]) -> String {
    silences.iter().map(|it| format!("{}\n", it.id)).collect()
}

/// When a silence ends; None when nobody says.
fn end(
    start: &Moment,
    end: Option<&Moment>,
    duration: Option<Duration>,
) -> Result<Option<Moment>, String> {
    match (end, duration) {
        (Some(end), _) => Ok(Some(end.clone())),
        (None, None) => Ok(None),
        (None, Some(Duration::ZERO)) => Err("silence duration must be greater than 0".to_owned()),
        (None, Some(duration)) => Ok(Some(Moment::utc(after(start.at(), duration)))),
    }
}

fn in_order(start: &Moment, end: &Moment) -> Result<(), String> {
    if start.at() > end.at() {
        return Err("silence cannot start after it ends".to_owned());
    }
    Ok(())
}

fn read(file: Option<&Path>) -> Result<String, String> {
    let name = file.map_or("standard input".into(), Path::to_string_lossy);
    let told = |error: &dyn std::fmt::Display| format!("cannot read {name}: {error}");
    let source: Box<dyn Read> = match file {
        Some(path) => Box::new(fs::File::open(path).map_err(|error| told(&error))?),
        None => Box::new(io::stdin()),
    };
    let mut text = String::new();
    let length = source.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = length.map_err(|error| told(&error))?;
    if u64::try_from(length).is_ok_and(|it| it > MAX_FILE) {
        return Err(told(&"it has more than 64 MiB"));
    }
    Ok(text)
}
