//! What the fuzz targets call: whatever people and senders write, nothing panics.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    api,
    config::Config,
    core::{
        Core, Cursor, Limits, Pauses, Times,
        record::{Restored, frame},
        silence::SilenceLimits,
        store::AlertLimits,
    },
    import,
    matcher::Matcher,
    template::{Data, Templates},
};

/// Templates with an example's data.
#[derive(Debug)]
pub struct Renderer {
    templates: Templates,
    data: Data,
}

impl Renderer {
    /// With Alertmanager's own templates.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self {
            templates: Templates::defaults().ok()?,
            data: Data::example(Timestamp::UNIX_EPOCH),
        })
    }

    /// Renders a text, as text and as HTML.
    pub fn render(&self, text: &str) {
        let now = Timestamp::UNIX_EPOCH;
        drop(self.templates.text(text, &self.data, now));
        drop(self.templates.html(text, &self.data, now));
    }
}

/// A configuration.
pub fn config(text: &str) {
    drop(Config::parse(Path::new("fuzz.yml"), text));
}

/// Matchers as they stand in routes and URLs; what is read is written so that it reads the same.
pub fn matchers(text: &str) {
    if let Ok(matchers) = Matcher::parse_all(text) {
        for matcher in matchers {
            let written = matcher.to_string();
            let again = Matcher::parse_all(&written).unwrap_or_default();
            assert!(
                again.iter().map(ToString::to_string).eq([written.clone()]),
                "{written}"
            );
        }
    }
}

/// The bytes of a journal: whatever is there is taken or passed over, and what is taken can be worked with.
pub fn journal(bytes: &[u8]) {
    let Ok(config) = Config::parse(
        Path::new("fuzz.yml"),
        "route: {receiver: a, group_by: [a]}\nreceivers: [{name: a, webhook_configs: [{url: 'http://x/'}]}]",
    ) else {
        return;
    };
    let now = Timestamp::UNIX_EPOCH;
    let limits = Limits {
        alerts: AlertLimits {
            all: 100,
            of_name: 0,
        },
        silences: SilenceLimits { count: 0, size: 0 },
        groups: 100,
    };
    let times = Times {
        retention: Duration::ZERO,
        start: now,
        pauses: Pauses {
            first: Duration::from_millis(1),
            longest: Duration::from_secs(1),
            jitter: 0,
        },
    };
    let mut core = Core::new(Arc::new(config), limits, times);
    // What is fuzzed is payloads: a checksum is never right by chance.
    for payload in bytes.split(|it| *it == b'\n') {
        if let Some(record) = Restored::read(payload) {
            core.restore_first(record.clone());
            core.restore(record);
        }
    }
    drop(frame(bytes));
    core.restored(now);
    while core.poll(now).is_some() {}
    let mut out = Vec::new();
    core.write(Cursor::default(), 1 << 20, now, &mut out);
}

/// A body of alerts, and the same as a silence.
pub fn body(bytes: &[u8]) {
    api::read(bytes);
}

/// An Alertmanager's file of silences.
pub fn silences(bytes: &[u8]) {
    drop(import::parse(bytes));
}
