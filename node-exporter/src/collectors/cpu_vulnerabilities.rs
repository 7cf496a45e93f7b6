//! `node_cpu_vulnerabilities_info`, from `/sys/devices/system/cpu/vulnerabilities` (kernel, `admin-guide/hw-vuln`).

use daemon::CollectError;
use exposition::{Desc, Family};

use super::{Entry, gauge, no_flags};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "cpu_vulnerabilities",
    default: false,
    flags: no_flags,
    make: |setup| setup.plain(ENTRY.name, collect),
    descs: &[INFO],
};

const INFO: Desc = gauge(
    "node_cpu_vulnerabilities_info",
    "Details of each CPU vulnerability reported by sysfs. The value of the series is an int encoded state of the vulnerability. The same state is stored as a string in the label",
)
.labels(&["codename", "state", "mitigation"]);

fn collect(host: &Host, out: &mut Vec<Family>) -> Result<(), CollectError> {
    let folder = host.sys("devices/system/cpu/vulnerabilities");
    let mut family = Family::of(&INFO);
    let names = match host.names(&folder) {
        Ok(names) => names,
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for name in names {
        let text = host.text(&folder.join(&name))?;
        let (state, mitigation) = parse(&text);
        family.push(&[&name, state, &mitigation], 1.0);
    }
    out.push(family);
    Ok(())
}

/// `Mitigation: Retpolines` is a state, and what is done.
fn parse(text: &str) -> (&'static str, String) {
    let start = text.to_lowercase();
    if start.starts_with("not affected") {
        return ("not affected", String::new());
    }
    match ["vulnerable", "mitigation", "unknown"]
        .into_iter()
        .find(|it| start.starts_with(it))
    {
        Some(state) => {
            let words = text.split_whitespace().skip(1);
            (state, words.collect::<Vec<_>>().join(" "))
        }
        None => ("unknown", text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn states() {
        for (text, state, mitigation) in [
            ("Not affected", "not affected", ""),
            ("Mitigation: PTI", "mitigation", "PTI"),
            (
                "Vulnerable: Clear CPU buffers attempted, no microcode",
                "vulnerable",
                "Clear CPU buffers attempted, no microcode",
            ),
            ("Processor vulnerable", "unknown", "Processor vulnerable"),
        ] {
            assert_eq!(parse(text), (state, mitigation.to_owned()), "{text}");
        }
    }
}
