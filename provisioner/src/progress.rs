//! How far a run over many nodes has come: bars on a terminal, plain lines otherwise. With `--json` the lines go to standard error, so that
//! standard output has the report alone.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Of one run.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// None when nobody watches.
    bars: Option<MultiProgress>,
    is_json: bool,
}

/// A thing that goes on; its line goes away with it.
#[derive(Debug)]
pub(crate) struct Step {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(is_json: bool) -> Self {
        let is_watched = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let bars =
            is_watched.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { bars, is_json }
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        let say = || {
            if self.is_json {
                output::note(&text);
            } else {
                output::say(&text);
            }
        };
        match &self.bars {
            Some(bars) => bars.suspend(say),
            None => say(),
        }
    }

    /// A bar that fills.
    pub(crate) fn bar(&self, what: &'static str, of: usize) -> Step {
        let of = u64::try_from(of).unwrap_or(u64::MAX);
        self.step(ProgressBar::new(of), "{msg} {wide_bar} {pos}/{len}", what)
    }

    /// A line that says what a node is at.
    pub(crate) fn node(&self, name: &str) -> Step {
        self.step(
            ProgressBar::new_spinner(),
            "{spinner} {prefix} {msg} {elapsed}",
            "",
        )
        .named(name)
    }

    fn step(&self, bar: ProgressBar, form: &str, what: &'static str) -> Step {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(bar.with_message(what));
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Step { bar }
    }
}

impl Step {
    fn named(self, name: &str) -> Self {
        if let Some(bar) = &self.bar {
            bar.set_prefix(name.to_owned());
        }
        self
    }

    /// What goes on.
    pub(crate) fn at(&self, what: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.into());
        }
    }

    /// One more is done.
    pub(crate) fn more(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
