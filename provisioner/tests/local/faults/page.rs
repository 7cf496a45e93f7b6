//! docs/alerts.md: for every alert what was done to make it fire, how long it took, and what healed it.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use testkit::{golden, root};

use super::{
    Fault, MEASURED, MONITOR, Part, SILENCE, faults,
    site::{FOR, FOR_CPU, LIMITS},
    told::TOLD,
};

const PAGE: &str = "docs/alerts.md";
const HERE: &str = "provisioner/tests/local/faults/page.rs";

/// What a rule says of itself.
struct Rule {
    name: String,
    severity: String,
    lasts: String,
    repair: Option<String>,
}

/// All of them, in the order of their files.
fn rules() -> Vec<Rule> {
    let files = dashboards::render(&dashboards::Settings::default()).rules;
    let text: String = files.into_iter().map(|it| it.text).collect();
    let rules = text.split("- alert: ").skip(1);
    rules
        .map(|rule| {
            let value = |key: &str| {
                let mut lines = rule.lines().map(str::trim);
                let found = lines.find_map(|it| it.strip_prefix(key));
                found.map(|it| it.trim().trim_matches('"').to_owned())
            };
            Rule {
                name: rule.lines().next().unwrap().trim().to_owned(),
                severity: value("severity:").unwrap(),
                lasts: value("for:").unwrap(),
                repair: value("repair:"),
            }
        })
        .collect()
}

/// The measured figures by alert: to Slack, to mail, to the end in both.
fn measured() -> BTreeMap<String, [String; 3]> {
    let text = fs::read_to_string(root().join(MEASURED)).unwrap();
    let lines = text.lines().skip(1);
    lines
        .map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            let name = fields.next().unwrap();
            let figures: Vec<_> = fields.collect();
            (name, figures.try_into().unwrap())
        })
        .collect()
}

/// A command with what is filled in when it fires.
fn filled_in(repair: &str) -> String {
    let mut parts = repair.split("{{ $labels.");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (label, rest) = part.split_once(" }}").unwrap();
        write!(text, "<{label}>{rest}").unwrap();
    }
    text
}

fn part(part: Part) -> String {
    match part {
        Part::Real => "real".to_owned(),
        Part::StandIn(what) => format!("stand-in: {what}"),
    }
}

/// What was done, to what, and how it was mended.
fn deed(alert: &str) -> Option<[String; 3]> {
    if let Some(fault) = fault(alert) {
        let mended = if fault.mended.is_empty() {
            NOT_AWAITED
        } else {
            fault.mended
        };
        return Some([fault.what.to_owned(), part(fault.part), mended.to_owned()]);
    }
    let told = TOLD.iter().find(|it| it.alert == alert)?;
    let differs = |line: &&str| !told.before.lines().any(|it| it == *line);
    let line = told.during.lines().find(differs)?;
    let mended = match told.after {
        None => NOT_AWAITED,
        Some(_) => "the file says that all is well again",
    };
    Some([
        format!(
            "a file tells `{}`",
            line.replace("{soon}", "*in five days*")
        ),
        "stand-in: real node-exporter, the file in place of what it is about".to_owned(),
        mended.to_owned(),
    ])
}

const NOT_AWAITED: &str =
    "not waited for: it heals when what was counted is as old as the rule looks back";

fn fault(alert: &str) -> Option<&'static Fault> {
    faults().into_iter().find(|it| it.alerts.contains(&alert))
}

/// Figures of an alert that was fired.
fn figures(measured: &BTreeMap<String, [String; 3]>, alert: &str) -> [String; 3] {
    let found = measured.get(alert);
    found
        .unwrap_or_else(|| panic!("{alert} was fired and is not in {MEASURED}"))
        .clone()
}

/// Every alert has its row, and every figure its alert.
#[test]
fn every_alert_is_in_the_table() {
    let measured = measured();
    let rules = rules();
    let mut table = "| alert | `for`: shipped, here | fault | part | seconds to Slack, mail | repair in the message | healed here by | seconds to its end |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    let mut fired = 0;
    for rule in &rules {
        let name = &rule.name;
        let repair = rule.repair.as_ref();
        let repair = repair.map_or("its runbook".to_owned(), |it| {
            format!("`{}`", filled_in(it))
        });
        write!(
            table,
            "| [{name}](runbooks/{name}.md), {} | ",
            rule.severity
        )
        .unwrap();
        let Some([what, part, mended]) = deed(name) else {
            writeln!(
                table,
                "{} | promtool alone | | not fired | {repair} | | |",
                rule.lasts
            )
            .unwrap();
            continue;
        };
        fired += 1;
        let here = if name == "HostCpuHigh" { FOR_CPU } else { FOR };
        let [slack, mail, healed] = figures(&measured, name);
        writeln!(
            table,
            "{}, {here} | {what} | {part} | {slack}, {mail} | {repair} | {mended} | {healed} |",
            rule.lasts
        )
        .unwrap();
    }
    // What no rule can tell.
    let mut beyond = "| what | who tells | fault | part | seconds | healed here by | seconds to its end |\n|---|---|---|---|---|---|---|\n".to_owned();
    let [what, real, mended] = deed("HeartbeatMissing").unwrap();
    let [slack, mail, healed] = figures(&measured, "HeartbeatMissing");
    writeln!(
        beyond,
        "| Prometheus cannot reach alert-router | alert-router: HeartbeatMissing, in Slack and by mail (`timeout`: shipped 5m, here 65s) | {what} | {real} | {slack}, {mail} | {mended} | {healed} |"
    )
    .unwrap();
    let [silent, _, healed] = figures(&measured, MONITOR);
    writeln!(
        beyond,
        "| the whole monitor is gone | whoever is behind `heartbeat_url`, when nothing has come for {} s (interval: shipped 1m, here 1s) | Prometheus, alert-router and all else are killed | real; stand-in: the receiver outside | {silent} | `provisioner local up` | {healed} |",
        SILENCE.as_secs()
    )
    .unwrap();
    let mut limits = "| alert | threshold: shipped, here | why |\n|---|---|---|\n".to_owned();
    let shipped = dashboards::thresholds();
    for (alert, here, why) in LIMITS {
        let shipped = shipped[*alert].threshold.unwrap();
        writeln!(limits, "| {alert} | {shipped}, {here} | {why} |").unwrap();
    }
    let mut elsewhere = "| alert | hosts with systemd, in | test |\n|---|---|---|\n".to_owned();
    for (alert, file, test) in ELSEWHERE {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&format!("\"{alert}\"")), "{file}: {alert}");
        assert!(text.contains(&format!("fn {test}()")), "{file}: {test}");
        writeln!(elsewhere, "| {alert} | `{file}` | `{test}` |").unwrap();
    }
    let names: Vec<_> = rules.iter().map(|it| it.name.as_str()).collect();
    for name in measured.keys() {
        let is_known = names.contains(&name.as_str());
        assert!(
            is_known || [MONITOR, "HeartbeatMissing"].contains(&name.as_str()),
            "{name}"
        );
    }
    for told in TOLD {
        assert!(names.contains(&told.alert), "{}", told.alert);
        assert!(fault(told.alert).is_none(), "{} is fired twice", told.alert);
    }
    assert!(TOLD.is_sorted_by(|a, b| a.alert < b.alert));
    assert!(LIMITS.is_sorted_by(|a, b| a.0 < b.0));
    let counted = format!(
        "{fired} of {} alerts were fired, {} of them by a fault of real parts or of a stand-in that is named, the others by a file.\n",
        rules.len(),
        fired - TOLD.len()
    );
    let mut page = fs::read_to_string(root().join(PAGE)).unwrap();
    for (what, body) in [
        ("count", counted),
        ("alerts", table),
        ("others", beyond),
        ("thresholds", limits),
        ("hosts", elsewhere),
    ] {
        let begin = format!("<!-- begin of the {what}, written by {HERE} -->\n");
        let end = format!("<!-- end of the {what} -->");
        let (head, rest) = page.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        page = format!("{head}{begin}{body}{end}{tail}");
    }
    golden::check(PAGE, &page);
}

/// Fired on hosts with systemd too, and healed by the command that the message had.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "AgentDown",
        "provisioner/tests/hosts/install.rs",
        "from_nothing_to_nothing",
    ),
    (
        "HostDown",
        "provisioner/tests/hosts/network.rs",
        "from_one_config_and_healed",
    ),
    (
        "LedgerDown",
        "provisioner/tests/hosts/network.rs",
        "from_one_config_and_healed",
    ),
    (
        "LedgerDown",
        "provisioner/tests/hosts/operate.rs",
        "recovered_and_restarted",
    ),
    (
        "LedgersDown",
        "provisioner/tests/hosts/operate.rs",
        "recovered_and_restarted",
    ),
    (
        "TraefikDown",
        "provisioner/tests/hosts/network.rs",
        "from_one_config_and_healed",
    ),
];
