//! `node_vmstat_*`: the fields of `/proc/vmstat` that `--collector.vmstat.fields` matches.

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Family, Kind, Labels};

use super::Entry;
use crate::{
    filter::{Default, Pattern},
    flags::value,
    host::{Host, parse_error},
};

pub(super) const ENTRY: Entry = Entry {
    name: "vmstat",
    default: true,
    flags: |command| value(command, FIELDS, false, "Regexp of fields to show"),
    make: |setup| {
        Ok(Box::new(Vmstat {
            host: Arc::clone(&setup.host),
            fields: DEFAULT.or_given(setup.matches, FIELDS)?,
        }))
    },
    // The names are the kernel's.
    descs: &[],
};

const FIELDS: &str = "collector.vmstat.fields";
pub(super) const DEFAULT: Default = Default {
    expression: "^(oom_kill|pgpg|pswp|pg.*fault).*",
    matches: Some(|name| {
        let paging = |it: &str| it.strip_prefix("pg").is_some_and(|it| it.contains("fault"));
        ["oom_kill", "pgpg", "pswp"]
            .iter()
            .any(|it| name.starts_with(it))
            || paging(name)
    }),
};

struct Vmstat {
    host: Arc<Host>,
    /// None matches everything.
    fields: Option<Pattern>,
}

impl Collector for Vmstat {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.host.proc("vmstat");
        let text = self.host.read(&path)?;
        for line in text.lines() {
            let parsed = line
                .split_once(' ')
                .and_then(|(name, value)| Some((name, value.trim().parse::<f64>().ok()?)));
            let (name, value) = parsed.ok_or_else(|| parse_error(&path, line))?;
            if self.fields.as_ref().is_some_and(|it| !it.is_match(name)) {
                continue;
            }
            let help = format!("/proc/vmstat information field {name}.");
            let family = Family::new(format!("node_vmstat_{name}"), Kind::Untyped, help);
            let mut family = family.map_err(|error| parse_error(&path, error.to_string()))?;
            family.push_labels(Labels::EMPTY, value);
            out.push(family);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::DEFAULT;
    use crate::filter::tests::agree;

    #[test]
    fn default() {
        agree(
            DEFAULT,
            &[
                "oom_kill",
                "oom_killer",
                "pgpgin",
                "pswpout",
                "pgfault",
                "pgmajfault",
                "nr_pgfault",
                "fault",
                "pgscan",
            ],
        );
    }
}
