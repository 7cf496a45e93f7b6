//! What is asked: of routers, those whose rule names a request literally; of servers, those that speak gRPC. Pure.

use std::collections::BTreeMap;

use client::Url;
use regex::Regex;

use crate::{
    api::{
        facts::EntryPoint,
        rawdata::{Object, Protocol, RawData, Router, Service, State, Tls},
    },
    rule::literal::{Literal, Path, literals},
};

/// What asks a gRPC server whether it serves: `grpc.health.v1`, as the protocol's own document of health checking has it.
pub(super) const HEALTH_PATH: &str = "/grpc.health.v1.Health/Check";

/// Which are asked, and how they are reached.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Routers that may be asked, by name.
    pub(crate) routers: Regex,
    /// Services that speak gRPC though Traefik's configuration does not show it.
    pub(crate) grpc_services: Option<Regex>,
    /// Servers that may be asked, by address.
    pub(crate) servers: Regex,
    /// Where entry points are reached, where that is not their own address.
    pub(crate) points: BTreeMap<String, String>,
    /// The host of entry points that listen on all addresses.
    pub(crate) host: String,
    /// Routers that are asked, and servers, at most; of a router, each host is one.
    pub(crate) max: usize,
}

/// A router, as a client meets it. Sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) router: String,
    pub(crate) entry_point: String,
    /// Empty for a gRPC router that takes any.
    pub(crate) host: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Host and port to connect to.
    pub(crate) address: String,
    pub(crate) has_tls: bool,
    /// For SNI and the Host header.
    pub(crate) name: String,
    pub(crate) ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Http { method: &'static str, path: String },
    Grpc,
}

/// A server of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerKey {
    pub(crate) protocol: &'static str,
    pub(crate) service: String,
    pub(crate) server: String,
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) routers: BTreeMap<Key, Target>,
    pub(crate) servers: BTreeMap<ServerKey, Target>,
    /// Why routers are not asked, and how many.
    pub(crate) skipped: BTreeMap<Skip, usize>,
    /// Beyond the bound.
    pub(crate) omitted: usize,
}

/// Why a router is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// Traefik does not use it.
    Disabled,
    /// It is Traefik's own, or not among those that may be asked.
    NotAllowed,
    /// Its rule names no host, or something that is not literal.
    Rule,
    /// Its rule takes other methods, or a path that is not the one of health checks.
    Request,
    /// It has no entry point with an address that we know.
    EntryPoint,
    /// TCP, and not known to be gRPC.
    Tcp,
}

impl Skip {
    pub(crate) const ALL: [Self; 6] = [
        Self::Disabled,
        Self::NotAllowed,
        Self::Rule,
        Self::Request,
        Self::EntryPoint,
        Self::Tcp,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NotAllowed => "not_allowed",
            Self::Rule => "rule",
            Self::Request => "request",
            Self::EntryPoint => "entry_point",
            Self::Tcp => "tcp",
        }
    }
}

/// Chooses from what Traefik has.
pub(crate) fn plan(data: &RawData, points: &[EntryPoint], rules: &Rules) -> Plan {
    let mut plan = Plan::default();
    let chooser = Chooser {
        rules,
        points: addresses(points, rules),
    };
    for (protocol, its) in [("http", &data.http), ("tcp", &data.tcp)] {
        for router in &its.routers.all {
            if let Err(skip) = chooser.router(protocol, router, its, &mut plan) {
                *plan.skipped.entry(skip).or_default() += 1;
            }
        }
        chooser.servers(protocol, its, &mut plan);
    }
    plan
}

/// Where entry points are reached.
fn addresses(points: &[EntryPoint], rules: &Rules) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for point in points {
        let (address, transport) = point.address();
        let Some((host, port)) = address.rsplit_once(':').filter(|_| transport == "tcp") else {
            continue;
        };
        let host = match host {
            "" | "0.0.0.0" | "[::]" => &rules.host,
            other => other,
        };
        all.insert(point.name.clone(), format!("{host}:{port}"));
    }
    all.extend(rules.points.clone());
    all
}

struct Chooser<'a> {
    rules: &'a Rules,
    points: BTreeMap<String, String>,
}

impl Chooser<'_> {
    fn router(
        &self,
        protocol: &str,
        router: &Object<Router>,
        all: &Protocol,
        plan: &mut Plan,
    ) -> Result<(), Skip> {
        if router.provider() == "internal" || !self.rules.routers.is_match(&router.name) {
            return Err(Skip::NotAllowed);
        }
        if router.state == State::Disabled {
            return Err(Skip::Disabled);
        }
        let service = all.services.named_by(&router.name, &router.its.service);
        let is_grpc =
            service.is_some_and(|it| all.services.lead_to(it, &|it| self.is_grpc(protocol, it)));
        if protocol == "tcp" && !is_grpc {
            return Err(Skip::Tcp);
        }
        let requests = requests(&router.its.rule, is_grpc)?;
        let points = router.its.entry_points.split(',');
        let points: Vec<_> = points
            .filter_map(|it| self.points.get_key_value(it))
            .collect();
        if points.is_empty() {
            return Err(Skip::EntryPoint);
        }
        for (entry_point, address) in points {
            for (host, ask) in &requests {
                let key = Key {
                    router: router.name.clone(),
                    entry_point: entry_point.clone(),
                    host: host.clone(),
                };
                if plan.routers.contains_key(&key) {
                    continue;
                }
                if plan.routers.len() >= self.rules.max {
                    plan.omitted += 1;
                    continue;
                }
                let own = address.rsplit_once(':').map_or("", |it| it.0);
                let name = if host.is_empty() { own } else { host };
                let target = Target {
                    address: address.clone(),
                    has_tls: router.its.tls != Tls::None,
                    name: name.to_owned(),
                    ask: ask.clone(),
                };
                plan.routers.insert(key, target);
            }
        }
        Ok(())
    }

    /// Servers that speak gRPC, each by itself: what the entry point gives is one of them.
    fn servers(&self, protocol: &'static str, all: &Protocol, plan: &mut Plan) {
        let services = all.services.all.iter();
        for service in services.filter(|it| self.is_grpc(protocol, it)) {
            for server in &service.its.servers {
                let Some(target) = self.server(&server.url) else {
                    continue;
                };
                if plan.servers.len() >= self.rules.max {
                    plan.omitted += 1;
                    continue;
                }
                let key = ServerKey {
                    protocol,
                    service: service.name.clone(),
                    server: server.url.clone(),
                };
                plan.servers.insert(key, target);
            }
        }
    }

    fn server(&self, address: &str) -> Option<Target> {
        if !self.rules.servers.is_match(address) {
            return None;
        }
        let url = if address.contains("://") {
            Url::parse(address)
        } else {
            Url::parse(&format!("h2c://{address}"))
        };
        let url = url.ok()?;
        let has_tls = url.scheme() == "https";
        let default = match url.scheme() {
            "https" => 443,
            "http" | "h2c" => 80,
            _ => return None,
        };
        let host = url.host_str()?;
        let port = url.port().unwrap_or(default);
        Some(Target {
            address: format!("{host}:{port}"),
            has_tls,
            name: host.to_owned(),
            ask: Ask::Grpc,
        })
    }

    fn is_grpc(&self, protocol: &str, service: &Object<Service>) -> bool {
        let is_named = self.rules.grpc_services.as_ref();
        is_named.is_some_and(|it| it.is_match(&service.name))
            || (protocol == "http" && service.its.is_grpc)
    }
}

/// Requests that a rule takes, each with its host: the first of a host is enough.
fn requests(rule: &str, is_grpc: bool) -> Result<Vec<(String, Ask)>, Skip> {
    let literals = literals(rule);
    if literals.is_empty() {
        return Err(Skip::Rule);
    }
    let mut all: Vec<(String, Ask)> = Vec::new();
    let mut are_hosts = false;
    for literal in literals {
        let host = match &literal.host {
            Some(host) => host.clone(),
            // Whom gRPC clients call is often no more than an address.
            None if is_grpc => String::new(),
            None => continue,
        };
        are_hosts = true;
        let Some(ask) = ask(&literal, is_grpc) else {
            continue;
        };
        if !all.iter().any(|it| it.0 == host) {
            all.push((host, ask));
        }
    }
    match (all.is_empty(), are_hosts) {
        (false, _) => Ok(all),
        (true, true) => Err(Skip::Request),
        (true, false) => Err(Skip::Rule),
    }
}

fn ask(literal: &Literal, is_grpc: bool) -> Option<Ask> {
    let method = literal.method.as_deref();
    if is_grpc {
        let is_taken = literal.path.as_ref().is_none_or(|it| it.takes(HEALTH_PATH))
            && method.is_none_or(|it| it == "POST");
        return is_taken.then_some(Ask::Grpc);
    }
    // Others change something.
    let method = match method {
        None | Some("GET") => "GET",
        Some("HEAD") => "HEAD",
        Some("OPTIONS") => "OPTIONS",
        Some(_) => return None,
    };
    let path = literal.path.as_ref().map_or("/", Path::text).to_owned();
    Some(Ask::Http { method, path })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fmt::Write as _};

    use regex::Regex;

    use super::{Ask, Plan, Rules, plan};
    use crate::api::{facts::EntryPoint, rawdata};

    fn rules() -> Rules {
        Rules {
            routers: Regex::new("^(?:.*)$").unwrap(),
            grpc_services: None,
            servers: Regex::new("^(?:.*)$").unwrap(),
            points: BTreeMap::from([("fixed".to_owned(), "10.0.0.5:1".to_owned())]),
            host: "127.0.0.1".to_owned(),
            max: 100,
        }
    }

    const POINTS: &str = r#"[{"name":"web","address":":80"},{"name":"safe","address":"[::]:443/tcp"},{"name":"own","address":"10.1.1.1:81"},
        {"name":"udp","address":":53/udp"},{"name":"fixed","address":":99"}]"#;

    fn check(data: &str, rules: &Rules, expect: &str) {
        let data = rawdata::read(data.as_bytes(), 1000).unwrap();
        let points: Vec<EntryPoint> = serde_json::from_str(POINTS).unwrap();
        assert_eq!(shown(&plan(&data, &points, rules)), expect.trim_start());
    }

    fn shown(plan: &Plan) -> String {
        let mut text = String::new();
        for (key, target) in &plan.routers {
            let ask = match &target.ask {
                Ask::Http { method, path } => format!("{method} {path}"),
                Ask::Grpc => "grpc".to_owned(),
            };
            let tls = if target.has_tls { " tls" } else { "" };
            writeln!(
                text,
                "{} {} [{}]: {} {} {ask}{tls}",
                key.router, key.entry_point, key.host, target.address, target.name
            )
            .unwrap();
        }
        for (key, target) in &plan.servers {
            let tls = if target.has_tls { " tls" } else { "" };
            writeln!(
                text,
                "{} {}: {}{tls}",
                key.protocol, key.service, target.address
            )
            .unwrap();
        }
        for (skip, count) in &plan.skipped {
            writeln!(text, "{} {count}", skip.word()).unwrap();
        }
        if plan.omitted > 0 {
            writeln!(text, "omitted {}", plan.omitted).unwrap();
        }
        text
    }

    #[test]
    fn routers() {
        let data = r#"{"routers":{
            "a@file":{"entryPoints":["web","fixed"],"rule":"Host(`a.test`) && PathPrefix(`/x`)","service":"s","status":"enabled"},
            "b@file":{"entryPoints":["safe","own"],"rule":"Host(`b.test`) || Host(`c.test`)","service":"s","tls":{},"status":"warning"},
            "head@file":{"entryPoints":["web"],"rule":"Host(`h.test`) && Method(`HEAD`)","service":"s","status":"enabled"},
            "post@file":{"entryPoints":["web"],"rule":"Host(`p.test`) && Method(`POST`)","service":"s","status":"enabled"},
            "any@file":{"entryPoints":["web"],"rule":"PathPrefix(`/`)","service":"s","status":"enabled"},
            "many@file":{"entryPoints":["web"],"rule":"HostRegexp(`.*`)","service":"s","status":"enabled"},
            "off@file":{"entryPoints":["web"],"rule":"Host(`o.test`)","service":"s","status":"disabled"},
            "lost@file":{"entryPoints":["nope","udp"],"rule":"Host(`l.test`)","service":"s","status":"enabled"},
            "api@internal":{"entryPoints":["web"],"rule":"Host(`i.test`)","service":"s","status":"enabled"}},
            "services":{"s@file":{"loadBalancer":{"servers":[{"url":"http://10.0.0.1:80"}]},"status":"enabled"}},
            "tcpRouters":{"t@file":{"entryPoints":["web"],"rule":"HostSNI(`*`)","service":"t","status":"enabled"}},
            "tcpServices":{"t@file":{"loadBalancer":{"servers":[{"address":"10.0.0.1:50051"}]},"status":"enabled"}}}"#;
        let expect = "
a@file fixed [a.test]: 10.0.0.5:1 a.test GET /x
a@file web [a.test]: 127.0.0.1:80 a.test GET /x
b@file own [b.test]: 10.1.1.1:81 b.test GET / tls
b@file own [c.test]: 10.1.1.1:81 c.test GET / tls
b@file safe [b.test]: 127.0.0.1:443 b.test GET / tls
b@file safe [c.test]: 127.0.0.1:443 c.test GET / tls
head@file web [h.test]: 127.0.0.1:80 h.test HEAD /
disabled 1
not_allowed 1
rule 2
request 1
entry_point 1
tcp 1
";
        check(data, &rules(), expect);
        let few = Rules {
            routers: Regex::new("^(?:a@file|b@file)$").unwrap(),
            max: 3,
            ..rules()
        };
        let expect = "
a@file fixed [a.test]: 10.0.0.5:1 a.test GET /x
a@file web [a.test]: 127.0.0.1:80 a.test GET /x
b@file safe [b.test]: 127.0.0.1:443 b.test GET / tls
not_allowed 8
omitted 3
";
        check(data, &few, expect);
        let grpc = Rules {
            routers: Regex::new("^t@file$").unwrap(),
            grpc_services: Some(Regex::new("^t@file$").unwrap()),
            ..rules()
        };
        let expect = "
t@file web []: 127.0.0.1:80 127.0.0.1 grpc
tcp t@file: 10.0.0.1:50051
not_allowed 9
";
        check(data, &grpc, expect);
    }

    #[test]
    fn grpc() {
        let data = r#"{"routers":{
            "ledger@file":{"entryPoints":["safe"],"rule":"Host(`l.test`)","service":"both","tls":{},"status":"enabled"},
            "any@file":{"entryPoints":["web"],"rule":"PathPrefix(`/`)","service":"checked","status":"enabled"},
            "path@file":{"entryPoints":["web"],"rule":"Host(`l.test`) && PathPrefix(`/rpc.Ledger`)","service":"checked","status":"enabled"},
            "plain@file":{"entryPoints":["web"],"rule":"Host(`p.test`)","service":"plain","status":"enabled"}},
            "services":{
            "both@file":{"weighted":{"services":[{"name":"plain","weight":1},{"name":"h2c","weight":1}]},"status":"enabled"},
            "loop@file":{"weighted":{"services":[{"name":"loop","weight":1}]},"status":"enabled"},
            "h2c@file":{"loadBalancer":{"servers":[{"url":"h2c://10.0.0.1:50051"},{"url":"h2c://[::1]:50052"}]},"status":"enabled"},
            "checked@file":{"loadBalancer":{"healthCheck":{"mode":"grpc"},"servers":[{"url":"https://ledger"},{"url":"ftp://x"}]},"status":"enabled"},
            "plain@file":{"loadBalancer":{"servers":[{"url":"http://10.0.0.1:80"}]},"status":"enabled"}}}"#;
        let expect = "
any@file web []: 127.0.0.1:80 127.0.0.1 grpc
ledger@file safe [l.test]: 127.0.0.1:443 l.test grpc tls
plain@file web [p.test]: 127.0.0.1:80 p.test GET /
http checked@file: ledger:443 tls
http h2c@file: 10.0.0.1:50051
http h2c@file: [::1]:50052
request 1
";
        check(data, &rules(), expect);
        let near = Rules {
            servers: Regex::new("^h2c://10\\..*$").unwrap(),
            routers: Regex::new("^$").unwrap(),
            ..rules()
        };
        check(
            data,
            &near,
            "
http h2c@file: 10.0.0.1:50051
not_allowed 4
",
        );
    }
}
