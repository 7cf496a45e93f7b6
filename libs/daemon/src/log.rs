//! Structured logs on standard error, as logfmt or JSON, with the keys of Prometheus' own programs (`time`, `level`, `msg`).

use std::{error::Error, fmt, io};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The flags of the log.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// Least severe messages to show.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub level: LogLevel,
    /// How a message is written.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub format: LogFormat,
}

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Why something was decided.
    Debug,
    /// State changed.
    Info,
    /// It may come to that someone must act.
    Warn,
    /// Someone must act.
    Error,
}

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Sends every event of this process to standard error. Later calls change nothing.
pub fn init(flags: &LogFlags) {
    let level = match flags.level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    // Libraries speak of their own insides below WARN.
    let quiet = if level == Level::ERROR {
        "error"
    } else {
        "warn"
    };
    let quiet = [
        "hyper",
        "hyper_util",
        "reqwest",
        "rustls",
        "zbus",
        "h2",
        "lettre",
    ]
    .map(|it| format!("{it}={quiet}"))
    .join(",");
    let filter = tracing_subscriber::EnvFilter::new(format!("{level},{quiet}"));
    let subscriber = tracing_subscriber::fmt()
        .event_format(Lines {
            format: flags.format,
        })
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .finish();
    // Fails when a test set one before.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// An error with everything that caused it, `outer: inner: innermost`.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    struct Chain<'a>(&'a (dyn Error + 'static));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
            Ok(())
        }
    }
    Chain(error)
}

struct Lines {
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str();
        let line = line(self.format, &time, level, &fields);
        writeln!(writer, "{line}")
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String, bool)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: String, bare: bool) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, value, bare)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"), false);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned(), false);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, chain(value).to_string(), false);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.to_string(), true);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.to_string(), true);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.to_string(), true);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        self.add(field, value.to_string(), value.is_finite());
    }
}

fn line(format: LogFormat, time: &str, level: &str, fields: &Fields) -> String {
    let (open, close, equals, between) = match format {
        LogFormat::Logfmt => ("", "", "=", " "),
        LogFormat::Json => ("{", "}", ":", ","),
    };
    let message = Some(("msg", &fields.message, false));
    let others = fields
        .others
        .iter()
        .map(|(key, value, bare)| (*key, value, *bare));
    let mut out = String::from(open);
    let (time, level) = (time.to_owned(), level.to_owned());
    for (key, value, bare) in [("time", &time, false), ("level", &level, false)]
        .into_iter()
        .chain(message)
        .chain(others)
    {
        if out.len() > open.len() {
            out.push_str(between);
        }
        let plain = |it: char| it.is_ascii_graphic() && !matches!(it, '"' | '=' | '\\');
        let quote = match format {
            LogFormat::Logfmt => value.is_empty() || !value.chars().all(plain),
            LogFormat::Json => !bare,
        };
        match format {
            LogFormat::Logfmt => out.push_str(key),
            LogFormat::Json => quoted(&mut out, key),
        }
        out.push_str(equals);
        if quote {
            quoted(&mut out, value);
        } else {
            out.push_str(value);
        }
    }
    out.push_str(close);
    out
}

/// A JSON string (RFC 8259, section 7); logfmt readers take the same escapes.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{Fields, LogFormat, line};

    #[test]
    fn lines() {
        let fields = Fields {
            message: "cannot read \"x\"".to_owned(),
            others: vec![
                ("path", "/a b\n\u{1}".to_owned(), false),
                ("count", "3".to_owned(), true),
                ("empty", String::new(), false),
                ("address", "127.0.0.1:9100".to_owned(), false),
            ],
        };
        assert_eq!(
            line(LogFormat::Logfmt, "T", "INFO", &fields),
            r#"time=T level=INFO msg="cannot read \"x\"" path="/a b\n\u0001" count=3 empty="" address=127.0.0.1:9100"#
        );
        assert_eq!(
            line(LogFormat::Json, "T", "INFO", &fields),
            r#"{"time":"T","level":"INFO","msg":"cannot read \"x\"","path":"/a b\n\u0001","count":3,"empty":"","address":"127.0.0.1:9100"}"#
        );
    }
}
