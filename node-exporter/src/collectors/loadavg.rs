//! `node_load1`, `node_load5`, `node_load15`, from `/proc/loadavg`.

use std::sync::Arc;

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family, Kind};

use super::{Entry, no_flags};
use crate::host::{Host, parse_error};

pub(super) const ENTRY: Entry = Entry {
    name: "loadavg",
    default: true,
    flags: no_flags,
    make: |setup| Ok(Box::new(Loadavg(Arc::clone(&setup.host)))),
    descs: &DESCS,
};

const DESCS: [Desc; 3] = [
    Desc::new("node_load1", Kind::Gauge, "1m load average."),
    Desc::new("node_load5", Kind::Gauge, "5m load average."),
    Desc::new("node_load15", Kind::Gauge, "15m load average."),
];

struct Loadavg(Arc<Host>);

impl Collector for Loadavg {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let path = self.0.proc("loadavg");
        let text = self.0.read(&path)?;
        let loads = parse(&text).ok_or_else(|| parse_error(&path, text))?;
        out.extend(
            DESCS
                .iter()
                .zip(loads)
                .map(|(desc, load)| Family::single(desc, load)),
        );
        Ok(())
    }
}

fn parse(text: &str) -> Option<[f64; 3]> {
    let mut fields = text.split_ascii_whitespace().map(|it| it.parse().ok());
    Some([fields.next()??, fields.next()??, fields.next()??])
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn three_loads() {
        assert_eq!(
            parse("0.20 0.18 0.12 1/80 11206\n"),
            Some([0.20, 0.18, 0.12])
        );
        assert_eq!(parse("0.20 0.18\n"), None);
        assert_eq!(parse("a b c"), None);
        assert_eq!(parse(""), None);
    }
}
