//! What is posted: alerts as Prometheus sends them, and silences as people make them.

const NAMES: usize = 100;
/// Nothing ends while it is measured.
const ENDS: &str = "2099-01-01T00:00:00.123Z";
const LATER: &str = "2099-01-01T00:01:00.123Z";

/// From when alerts fire, and until when their sender says so.
#[derive(Clone)]
pub(crate) struct Span {
    starts: String,
    ends: &'static str,
}

impl Span {
    /// An alert that fires for long is due at once, whatever its group waits: these have just begun.
    pub(crate) fn from_now() -> Self {
        Self {
            starts: format!("{:.3}", jiff::Timestamp::now()),
            ends: ENDS,
        }
    }

    /// As it is sent again, while it fires.
    pub(crate) fn again(&self) -> Self {
        Self {
            ends: LATER,
            ..self.clone()
        }
    }
}

/// Bodies of so many alerts, all different, in batches.
pub(crate) fn alerts(count: usize, batch: usize, span: &Span) -> Vec<String> {
    let all: Vec<usize> = (0..count).collect();
    all.chunks(batch)
        .map(|batch| body(batch.iter().copied(), span))
        .collect()
}

/// Alerts of which each has an instance, and so a group, of its own.
pub(crate) fn lonely(numbers: std::ops::Range<usize>, span: &Span) -> String {
    body(numbers.map(|it| it * NAMES), span)
}

fn body(numbers: impl Iterator<Item = usize>, span: &Span) -> String {
    let alerts: Vec<String> = numbers.map(|it| alert(it, span)).collect();
    format!("[{}]", alerts.join(","))
}

fn alert(number: usize, span: &Span) -> String {
    let (name, instance) = (name(number), instance(number));
    let Span { starts, ends } = span;
    format!(
        r#"{{"annotations":{{"description":"{name} on {instance} for 15 minutes","runbook_url":"https://runbooks.example.com/{name}","summary":"A file system runs full"}},"endsAt":"{ends}","startsAt":"{starts}","generatorURL":"http://prometheus.example.com:9090/graph?g0.expr=x","labels":{{"alertname":"{name}","cluster":"eu-1","device":"/dev/sda1","env":"production","fstype":"ext4","instance":"{instance}","job":"node","mountpoint":"/","severity":"warning","team":"platform"}}}}"#
    )
}

pub(crate) fn bytes_of_an_alert() -> usize {
    alert(0, &Span::from_now()).len()
}

pub(crate) fn name(number: usize) -> String {
    format!("NodeFilesystemFull{}", number % NAMES)
}

pub(crate) fn instance(number: usize) -> String {
    format!("node-{:05}:9100", number / NAMES)
}

/// Bodies of silences: of ten, eight are for an alert on an instance, every other of them for one that is there; one has a regular
/// expression for instances, which leaves the first fifty out, and one for names that are not there.
pub(crate) fn silences(count: usize) -> Vec<String> {
    (0..count)
        .map(|it| {
            let matchers = match it % 10 {
                8 => matcher(
                    "instance",
                    &format!("node-{:04}[0-9]:.*", 5 + it / 10),
                    true,
                ),
                9 => matcher("alertname", &format!("NodeDiskFull{it}|NodeDown{it}"), true),
                _ => {
                    let missing = if it % 2 == 0 { 0 } else { 1_000_000 };
                    let instance = matcher("instance", &instance(it + missing), false);
                    format!("{instance},{}", matcher("alertname", &name(it), false))
                }
            };
            silence(&matchers)
        })
        .collect()
}

fn matcher(name: &str, value: &str, regex: bool) -> String {
    format!(r#"{{"name":"{name}","value":"{value}","isRegex":{regex},"isEqual":true}}"#)
}

fn silence(matchers: &str) -> String {
    format!(
        r#"{{"matchers":[{matchers}],"startsAt":"2026-01-01T00:00:00.123Z","endsAt":"{ENDS}","createdBy":"bench","comment":"being looked at"}}"#
    )
}
