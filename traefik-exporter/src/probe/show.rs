//! What probes found, as metrics.

use exposition::{Desc, Family, Kind};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    Seen, State,
    ask::Tls,
    health::Health,
    plan::{Key, Skip},
};

const SUCCESS: Desc = Desc::new(
    "traefik_probe_success",
    Kind::Gauge,
    "Whether a client gets an answer through an entry point: any below 500 but Traefik's own 404; of gRPC, SERVING. Certificates are told apart.",
)
.labels(LABELS);
const FAILURE: Desc = Desc::new(
    "traefik_probe_failure_info",
    Kind::Gauge,
    "Why a client gets no answer; always 1.",
)
.labels(&["router", "entry_point", "host", "reason"]);
const TIME: Desc = Desc::new(
    "traefik_probe_timestamp_seconds",
    Kind::Gauge,
    "When a router was asked last, in seconds since 1970.",
)
.labels(LABELS);
const DURATION: Desc = Desc::new(
    "traefik_probe_duration_seconds",
    Kind::Gauge,
    "How long parts of the last request took: connect, tls, processing up to the head of the answer, and transfer of its body.",
)
.labels(&["router", "entry_point", "host", "phase"]);
const STATUS: Desc = Desc::new(
    "traefik_probe_http_status_code",
    Kind::Gauge,
    "The status of the last answer.",
)
.labels(LABELS);
const HEALTH: Desc = Desc::new(
    "traefik_probe_grpc_serving",
    Kind::Gauge,
    "Whether grpc.health.v1 said SERVING through an entry point; missing when nothing was said.",
)
.labels(LABELS);
const CERTIFICATE_INFO: Desc = Desc::new(
    "traefik_probe_certificate_info",
    Kind::Gauge,
    "The certificate that clients are shown, and the version of TLS; always 1.",
)
.labels(&[
    "router",
    "entry_point",
    "host",
    "common_name",
    "issuer",
    "serial_number",
    "version",
]);
const CERTIFICATE_END: Desc = Desc::new(
    "traefik_probe_certificate_not_after_timestamp_seconds",
    Kind::Gauge,
    "When the certificate ends that clients are shown, in seconds since 1970.",
)
.labels(LABELS);
const CERTIFICATE_VALID: Desc = Desc::new(
    "traefik_probe_certificate_valid",
    Kind::Gauge,
    "Whether clients who trust the system's authorities, or those of --probe.ca-file, take the certificate for the host.",
)
.labels(LABELS);
const CERTIFICATE_DEFAULT: Desc = Desc::new(
    "traefik_probe_default_certificate",
    Kind::Gauge,
    "Whether clients are shown the certificate that Traefik makes itself, as it has none for the host.",
)
.labels(LABELS);
const SERVER_SERVING: Desc = Desc::new(
    "traefik_probe_server_serving",
    Kind::Gauge,
    "Whether a gRPC server, asked by itself, says SERVING.",
)
.labels(SERVER_LABELS);
const SERVER_FAILURE: Desc = Desc::new(
    "traefik_probe_server_failure_info",
    Kind::Gauge,
    "Why a gRPC server does not serve; always 1.",
)
.labels(&["protocol", "service", "server", "reason"]);
const SERVER_DURATION: Desc = Desc::new(
    "traefik_probe_server_duration_seconds",
    Kind::Gauge,
    "How long parts of the last question to a gRPC server took.",
)
.labels(&["protocol", "service", "server", "phase"]);
const SERVER_TIME: Desc = Desc::new(
    "traefik_probe_server_timestamp_seconds",
    Kind::Gauge,
    "When a gRPC server was asked last, in seconds since 1970.",
)
.labels(SERVER_LABELS);
const PLAN: Desc = Desc::new(
    "traefik_probe_plan_success",
    Kind::Gauge,
    "Whether Traefik told what there is before the last round; if not, the routers and servers of before are asked.",
);
const SKIPPED: Desc = Desc::new(
    "traefik_probe_skipped_routers",
    Kind::Gauge,
    "Routers that are not asked, by the reason.",
)
.labels(&["reason"]);
const OMITTED: Desc = Desc::new(
    "traefik_probe_omitted_targets",
    Kind::Gauge,
    "Routers, by entry point and host, and servers that are not asked, as there are more than --probe.max-targets.",
);
const PROBES: Desc = Desc::new(
    "traefik_probes_total",
    Kind::Counter,
    "Questions that were asked, of routers and servers.",
)
.labels(&["result"]);
const ROUNDS: Desc = Desc::new(
    "traefik_probe_rounds_total",
    Kind::Counter,
    "Rounds in which all were asked.",
);
const ROUND_DURATION: Desc = Desc::new(
    "traefik_probe_round_duration_seconds",
    Kind::Gauge,
    "How long the last round took; it should be less than --probe.interval.",
);

const LABELS: &[&str] = &["router", "entry_point", "host"];
const SERVER_LABELS: &[&str] = &["protocol", "service", "server"];

#[cfg(test)]
pub(crate) const DESCS: &[Desc] = &[
    SUCCESS,
    FAILURE,
    TIME,
    DURATION,
    STATUS,
    HEALTH,
    CERTIFICATE_INFO,
    CERTIFICATE_END,
    CERTIFICATE_VALID,
    CERTIFICATE_DEFAULT,
    SERVER_SERVING,
    SERVER_FAILURE,
    SERVER_DURATION,
    SERVER_TIME,
    PLAN,
    SKIPPED,
    OMITTED,
    PROBES,
    ROUNDS,
    ROUND_DURATION,
];

/// The name of the certificate that Traefik makes itself.
const DEFAULT: &str = "TRAEFIK DEFAULT CERT";
/// Characters of a name that are shown.
const MAX_NAME: usize = 200;

#[expect(
    clippy::cast_precision_loss,
    reason = "counts fit 53 bits for centuries"
)]
pub(super) fn families(state: &State, out: &mut Vec<Family>) {
    let mut routers = Routers::new();
    for (key, seen) in &state.routers {
        routers.push(key, seen);
    }
    routers.end(out);
    servers(state, out);
    let mut skipped = Family::of(&SKIPPED);
    for skip in Skip::ALL {
        let count = state.skipped.get(&skip).copied().unwrap_or(0);
        skipped.push(&[skip.word()], count as f64);
    }
    let mut probes = Family::of(&PROBES);
    probes.push(&["success"], state.succeeded as f64);
    probes.push(&["failure"], state.failed as f64);
    out.extend([
        skipped,
        probes,
        Family::single(&OMITTED, state.omitted as f64),
        Family::single(&ROUNDS, state.rounds as f64),
    ]);
    if let Some(is_planned) = state.is_planned {
        out.push(Family::single(&PLAN, number(is_planned)));
    }
    if state.rounds > 0 {
        let took = state.round_took.as_secs_f64();
        out.push(Family::single(&ROUND_DURATION, took));
    }
}

fn servers(state: &State, out: &mut Vec<Family>) {
    let mut serving = Family::of(&SERVER_SERVING);
    let mut failures = Family::of(&SERVER_FAILURE);
    let mut durations = Family::of(&SERVER_DURATION);
    let mut times = Family::of(&SERVER_TIME);
    for (key, seen) in &state.servers {
        let labels = [key.protocol, &key.service, &key.server];
        let [protocol, service, server] = labels;
        let outcome = &seen.outcome;
        serving.push(&labels, number(outcome.failure.is_none()));
        if let Some(failure) = &outcome.failure {
            failures.push(&[protocol, service, server, failure.reason()], 1.0);
        }
        for (phase, took) in outcome.phases.all() {
            if let Some(took) = took {
                durations.push(&[protocol, service, server, phase], took.as_secs_f64());
            }
        }
        times.push(&labels, seen.time.as_duration().as_secs_f64());
    }
    out.extend([serving, failures, durations, times]);
}

struct Routers {
    success: Family,
    failures: Family,
    times: Family,
    durations: Family,
    statuses: Family,
    health: Family,
    info: Family,
    ends: Family,
    valid: Family,
    default: Family,
}

impl Routers {
    fn new() -> Self {
        Self {
            success: Family::of(&SUCCESS),
            failures: Family::of(&FAILURE),
            times: Family::of(&TIME),
            durations: Family::of(&DURATION),
            statuses: Family::of(&STATUS),
            health: Family::of(&HEALTH),
            info: Family::of(&CERTIFICATE_INFO),
            ends: Family::of(&CERTIFICATE_END),
            valid: Family::of(&CERTIFICATE_VALID),
            default: Family::of(&CERTIFICATE_DEFAULT),
        }
    }

    fn push(&mut self, key: &Key, seen: &Seen) {
        let labels = [key.router.as_str(), &key.entry_point, &key.host];
        let [router, entry_point, host] = labels;
        let outcome = &seen.outcome;
        self.success
            .push(&labels, number(outcome.failure.is_none()));
        if let Some(failure) = &outcome.failure {
            self.failures
                .push(&[router, entry_point, host, failure.reason()], 1.0);
        }
        self.times
            .push(&labels, seen.time.as_duration().as_secs_f64());
        for (phase, took) in outcome.phases.all() {
            if let Some(took) = took {
                self.durations
                    .push(&[router, entry_point, host, phase], took.as_secs_f64());
            }
        }
        if let Some(status) = outcome.status {
            self.statuses.push(&labels, f64::from(status));
        }
        if let Some(health) = outcome.health {
            self.health.push(&labels, number(health == Health::Serving));
        }
        if let Some(tls) = &outcome.tls {
            self.certificate(labels, tls);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds fit 53 bits for long")]
    fn certificate(&mut self, labels: [&str; 3], tls: &Tls) {
        let Some(shown) = tls.shown.get() else {
            return;
        };
        self.valid.push(&labels, number(shown.verdict.is_ok()));
        let Ok((_rest, certificate)) = X509Certificate::from_der(&shown.certificate) else {
            return;
        };
        let name = common_name(certificate.subject());
        let issuer = common_name(certificate.issuer());
        // As Traefik's API writes it.
        let serial = certificate.serial.to_string();
        let [router, entry_point, host] = labels;
        let version = tls.version;
        self.info.push(
            &[router, entry_point, host, &name, &issuer, &serial, version],
            1.0,
        );
        let end = certificate.validity().not_after.timestamp();
        self.ends.push(&labels, end as f64);
        self.default.push(&labels, number(name == DEFAULT));
    }

    fn end(self, out: &mut Vec<Family>) {
        out.extend([
            self.success,
            self.failures,
            self.times,
            self.durations,
            self.statuses,
            self.health,
            self.info,
            self.ends,
            self.valid,
            self.default,
        ]);
    }
}

fn common_name(name: &x509_parser::prelude::X509Name<'_>) -> String {
    let first = name.iter_common_name().next();
    let text = first.and_then(|it| it.as_str().ok()).unwrap_or_default();
    text.chars().take(MAX_NAME).collect()
}

const fn number(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
