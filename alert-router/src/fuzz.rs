//! What the fuzz targets call: whatever people and senders write, nothing panics.

use std::path::Path;

use jiff::Timestamp;

use crate::{
    api,
    config::Config,
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

/// A body of alerts.
pub fn body(bytes: &[u8]) {
    api::read(bytes);
}
