//! What is measured, each from an empty folder.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Contender,
    load::{self, Span},
    receiver::Receiver,
    trial::{QUIET, Routing, Trial},
};
use crate::{connection::Connection, page::Value, statistics::quantile};

/// Seconds of CPU after which the GET with many silences is ended.
pub(crate) const ENOUGH: f64 = 20.0;
const MANY: usize = 100_000;
const SILENCES: usize = 10_000;
const GROUPS: usize = 5_000;
const POSTS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);
/// A quick request is repeated until it took so many seconds of CPU, or so often.
const REPEATED: (f64, u32) = (1.0, 300);

/// Until /-/ready.
pub(crate) fn start_empty(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    let begin = Instant::now();
    let trial = Trial::start(contender, folder, &QUIET)?;
    let took = begin.elapsed();
    drop(trial);
    Ok(vec![milliseconds(took)])
}

/// Resident memory of a program that was looked at once.
pub(crate) fn idle(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    let mut trial = Trial::start(contender, folder, &QUIET)?;
    trial.connection.get("/metrics", false)?;
    trial.rest()?;
    std::thread::sleep(Duration::from_secs(3));
    Ok(vec![mebibytes(trial.server().memory()?)])
}

/// CPU of taking alerts.
pub(crate) fn ingest(
    contender: &Contender,
    folder: &Path,
    count: usize,
    batch: usize,
) -> io::Result<Vec<Value>> {
    let mut trial = Trial::start(contender, folder, &QUIET)?;
    let bodies = load::alerts(count, batch, &Span::from_now());
    let cpu = trial.cpu_of(|it| it.post_alerts(&bodies))?;
    Ok(vec![microseconds_each(cpu, count)])
}

/// What 100k alerts cost: to take, to keep, to show.
pub(crate) fn many_alerts(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    let mut trial = Trial::start(contender, folder, &QUIET)?;
    let span = Span::from_now();
    let bodies = load::alerts(MANY, 1000, &span);
    let first = trial.cpu_of(|it| it.post_alerts(&bodies))?;
    let bodies = load::alerts(MANY, 1000, &span.again());
    let before = mebibytes(trial.server().memory()?);
    let metrics = repeated(&mut trial, "/metrics")?;
    let (mut cpus, mut walls, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..3 {
        let mut wall = Duration::ZERO;
        let cpu = trial.cpu_of(|it| {
            let begin = Instant::now();
            size = it.connection.get("/api/v2/alerts", false)?;
            wall = begin.elapsed();
            expect_alerts(&it.connection, MANY)
        })?;
        cpus.push(cpu);
        walls.push(wall.as_secs_f64());
    }
    let after = mebibytes(trial.server().memory()?);
    let number = MANY / 2;
    let query = format!(
        "/api/v2/alerts?filter=alertname%3D%22{}%22&filter=instance%3D%22{}%22",
        load::name(number),
        load::instance(number)
    );
    let filtered = repeated(&mut trial, &query)?;
    expect_alerts(&trial.connection, 1)?;
    let again = trial.cpu_of(|it| it.post_alerts(&bodies))?;
    #[expect(clippy::cast_precision_loss, reason = "the size of an answer")]
    let size = size as f64 / 1e6;
    Ok(vec![
        microseconds_each(first, MANY),
        microseconds_each(again, MANY),
        before,
        Value::Number(metrics * 1e3),
        Value::Number(quantile(&cpus, 0.5)),
        Value::Number(quantile(&walls, 0.5)),
        Value::Number(size),
        after,
        Value::Number(filtered * 1e3),
    ])
}

/// Seconds of CPU of the first GET that must hold each alert against each silence.
pub(crate) fn many_silences(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    let mut trial = Trial::start(contender, folder, &QUIET)?;
    trial.post_alerts(&load::alerts(10_000, 1000, &Span::from_now()))?;
    trial.post_silences(&load::silences(SILENCES))?;
    trial.rest()?;
    let before = trial.server().cpu()?;
    let mut asking = Connection::open(trial.server().address())?;
    let asking = std::thread::spawn(move || {
        asking.get("/api/v2/alerts", false)?;
        expect_alerts(&asking, 10_000)
    });
    while !asking.is_finished() {
        if trial.server().cpu()? - before > ENOUGH {
            // The asking thread ends with the server.
            return Ok(vec![Value::Above(ENOUGH)]);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let cpu = trial.server().cpu()? - before;
    asking
        .join()
        .unwrap_or_else(|_panic| Err(io::Error::other("the client panicked")))?;
    Ok(vec![Value::Number(cpu)])
}

/// CPU of each notification when thousands of groups become due together.
pub(crate) fn storm(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    let receiver = Receiver::start()?;
    let routing = Routing {
        group_by: "instance",
        group_wait: "4s",
        url: Some(&receiver.url()),
    };
    let mut trial = Trial::start(contender, folder, &routing)?;
    let span = Span::from_now();
    let bodies: Vec<String> = (0..GROUPS)
        .step_by(1000)
        .map(|it| load::lonely(it..it + 1000, &span))
        .collect();
    trial.post_alerts(&bodies)?;
    trial.rest()?;
    let before = trial.server().cpu()?;
    if receiver.count() > 0 {
        return Err(io::Error::other(
            "the first group was due before all alerts were there",
        ));
    }
    receiver.nth(GROUPS, PATIENCE)?;
    trial.rest()?;
    let cpu = trial.server().cpu()? - before;
    if receiver.count() != GROUPS {
        return Err(io::Error::other(format!(
            "{} notifications",
            receiver.count()
        )));
    }
    Ok(vec![Value::Number(microseconds(cpu, GROUPS) / 1e3)])
}

/// From the first byte of a POST until the receiver has read the notification.
pub(crate) fn latency(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    let receiver = Receiver::start()?;
    let routing = Routing {
        group_by: "instance",
        group_wait: "0s",
        url: Some(&receiver.url()),
    };
    let mut trial = Trial::start(contender, folder, &routing)?;
    let mut took = Vec::new();
    for at in 0..POSTS {
        let body = load::lonely(at..at + 1, &Span::from_now());
        let begin = Instant::now();
        trial.connection.post("/api/v2/alerts", &body)?;
        let heard = receiver.nth(at + 1, PATIENCE)?;
        took.push(heard.duration_since(begin).as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(vec![Value::Number(quantile(&took, 0.5))])
}

/// Until /-/ready, with all that it knew when it was killed.
pub(crate) fn start_full(contender: &Contender, folder: &Path) -> io::Result<Vec<Value>> {
    if !contender.keeps {
        return Ok(vec![Value::Nothing]);
    }
    let mut trial = Trial::start(contender, folder, &QUIET)?;
    trial.post_silences(&load::silences(SILENCES))?;
    trial.post_alerts(&load::alerts(MANY, 1000, &Span::from_now()))?;
    let begin = Instant::now();
    trial = trial.killed_and_started()?;
    let took = begin.elapsed();
    trial.connection.get("/api/v2/alerts", false)?;
    expect_alerts(&trial.connection, MANY)?;
    trial.connection.get("/api/v2/silences", false)?;
    expect(&trial.connection, "\"createdBy\"", SILENCES)?;
    Ok(vec![milliseconds(took)])
}

/// Seconds of CPU of a request, which is repeated as it is quick.
fn repeated(trial: &mut Trial, path: &str) -> io::Result<f64> {
    let mut count = 0;
    let cpu = trial.cpu_of(|it| {
        let before = it.server().cpu()?;
        while count < REPEATED.1 && it.server().cpu()? - before < REPEATED.0 {
            it.connection.get(path, false)?;
            count += 1;
        }
        Ok(())
    })?;
    Ok(cpu / f64::from(count.max(1)))
}

/// What was asked for is there: a figure of a wrong answer is none.
fn expect_alerts(connection: &Connection, count: usize) -> io::Result<()> {
    expect(connection, "\"fingerprint\"", count)
}

fn expect(connection: &Connection, word: &str, count: usize) -> io::Result<()> {
    let body = String::from_utf8_lossy(connection.body());
    let found = body.matches(word).count();
    if found == count {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the answer has {found} times {word}, {count} were expected"
    )))
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn microseconds(seconds: f64, count: usize) -> f64 {
    seconds * 1e6 / count as f64
}

fn microseconds_each(seconds: f64, count: usize) -> Value {
    Value::Number(microseconds(seconds, count))
}

fn milliseconds(time: Duration) -> Value {
    Value::Number(time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "the size of a program")]
fn mebibytes(bytes: u64) -> Value {
    Value::Number(bytes as f64 / f64::from(1024 * 1024))
}
