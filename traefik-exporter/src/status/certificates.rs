//! Certificates that Traefik has, and hosts of routers that it has none for: their clients get the default certificate, which nobody trusts.

use std::collections::BTreeSet;

use exposition::{Desc, Family, Kind};

use super::{
    count, number,
    show::{self, cut},
};
use crate::{
    api::{
        facts::Certificate,
        rawdata::{Objects, RawData, Router, State, Tls},
    },
    rule,
};

const INFO: Desc = Desc::new(
    "traefik_api_certificate_info",
    Kind::Gauge,
    "A certificate that Traefik has; always 1.",
)
.labels(&["common_name", "serial_number", "sans", "issuer", "key_type"]);
const NOT_BEFORE: Desc = Desc::new(
    "traefik_api_certificate_not_before_timestamp_seconds",
    Kind::Gauge,
    "When a certificate begins to hold, in seconds since 1970.",
)
.labels(&["common_name", "serial_number"]);
const NOT_AFTER: Desc = Desc::new(
    "traefik_api_certificate_not_after_timestamp_seconds",
    Kind::Gauge,
    "When a certificate ends, in seconds since 1970; those that were exchanged are not here.",
)
.labels(&["common_name", "serial_number"]);
const HOST_WITHOUT: Desc = Desc::new(
    "traefik_api_router_host_without_certificate",
    Kind::Gauge,
    "1 for each host of a router with TLS that Traefik has no certificate for; its clients get the default one.",
)
.labels(&["protocol", "router", "provider", "host"]);
const TLS_HOSTS: Desc = Desc::new(
    "traefik_api_tls_hosts",
    Kind::Gauge,
    "Hosts that routers with TLS name, by whether Traefik has a certificate for them.",
)
.labels(&["protocol", "certificate"]);

#[cfg(test)]
pub(super) const DESCS: &[Desc] = &[INFO, NOT_BEFORE, NOT_AFTER, HOST_WITHOUT, TLS_HOSTS];

/// Names of a certificate that are shown.
const MAX_SANS: usize = 20;
/// Hosts of a rule that are looked at.
const MAX_HOSTS: usize = 100;

pub(super) fn families(
    certificates: &[Certificate],
    data: &mut RawData,
    max: usize,
    out: &mut Vec<Family>,
) {
    let mut info = Family::of(&INFO);
    let mut not_before = Family::of(&NOT_BEFORE);
    let mut not_after = Family::of(&NOT_AFTER);
    for certificate in certificates.iter().take(max) {
        let name = cut(&certificate.common_name);
        let serial = cut(&certificate.serial_number);
        let sans: Vec<_> = certificate
            .sans
            .iter()
            .take(MAX_SANS)
            .map(|it| cut(it))
            .collect();
        let sans = sans.join(",");
        info.push(
            &[
                name,
                serial,
                cut(&sans),
                cut(&certificate.issuer),
                cut(&certificate.key_type),
            ],
            1.0,
        );
        for (family, time) in [
            (&mut not_before, certificate.not_before),
            (&mut not_after, certificate.not_after),
        ] {
            if let Some(time) = time {
                family.push(&[name, serial], time.as_duration().as_secs_f64());
            }
        }
    }
    let omitted = show::omitted_certificates(certificates.len().saturating_sub(max));
    out.extend([info, not_before, not_after, omitted]);
    let mut hosts = Hosts {
        names: Names::new(certificates),
        room: max,
        without: Family::of(&HOST_WITHOUT),
        counts: Family::of(&TLS_HOSTS),
    };
    hosts.look("http", &mut data.http.routers);
    hosts.look("tcp", &mut data.tcp.routers);
    out.extend([hosts.without, hosts.counts]);
}

/// Names that there are certificates for, in lower case.
struct Names {
    exact: BTreeSet<String>,
    /// What stands behind `*.`.
    below: BTreeSet<String>,
}

impl Names {
    fn new(certificates: &[Certificate]) -> Self {
        let names = certificates
            .iter()
            .flat_map(|it| it.sans.iter().chain([&it.common_name]));
        let (mut exact, mut below) = (BTreeSet::new(), BTreeSet::new());
        for name in names.map(|it| it.to_ascii_lowercase()) {
            match name.strip_prefix("*.") {
                Some(rest) => below.insert(rest.to_owned()),
                None => exact.insert(name),
            };
        }
        Self { exact, below }
    }

    /// As Traefik chooses: `*` stands for one label.
    fn have(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|it| it.1);
        self.exact.contains(host) || parent.is_some_and(|it| self.below.contains(it))
    }
}

struct Hosts {
    names: Names,
    /// Hosts that may still be shown.
    room: usize,
    without: Family,
    counts: Family,
}

impl Hosts {
    fn look(&mut self, protocol: &str, routers: &mut Objects<Router>) {
        let (mut present, mut missing) = (0, 0);
        let routers = routers.all.iter_mut();
        for router in routers.filter(|it| it.its.tls == Tls::Here && it.state != State::Disabled) {
            let its = &mut router.its;
            let hosts = its.hosts.take();
            let hosts = hosts.unwrap_or_else(|| rule::hosts(&its.rule, MAX_HOSTS));
            for host in &hosts {
                if self.names.have(host) {
                    present += 1;
                    continue;
                }
                missing += 1;
                if let Some(room) = self.room.checked_sub(1) {
                    self.room = room;
                    let labels = [protocol, &router.name, router.provider(), cut(host)];
                    self.without.push(&labels, number(true));
                }
            }
            router.its.hosts = Some(hosts);
        }
        for (word, hosts) in [("present", present), ("missing", missing)] {
            self.counts.push(&[protocol, word], count(hosts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::api::facts::Certificate;

    #[test]
    fn names_of_certificates() {
        let names = Names::new(&[Certificate {
            common_name: "Old.test".to_owned(),
            sans: vec!["a.test".to_owned(), "*.Wild.test".to_owned()],
            ..Certificate::default()
        }]);
        for (host, expect) in [
            ("a.test", true),
            ("old.test", true),
            ("b.test", false),
            ("x.wild.test", true),
            ("wild.test", false),
            ("y.x.wild.test", false),
            ("", false),
        ] {
            assert_eq!(names.have(host), expect, "{host}");
        }
    }
}
