//! Routers, services, middlewares, entry points and features, as families.

use exposition::{Desc, Family, Kind, Labels};

use super::{count, number};
use crate::api::{
    facts::{EntryPoint, Overview, Version},
    rawdata::{
        Middleware, Object, ObjectLabels, Objects, Protocol, RawData, Router, Service, State, Tls,
    },
};

const VERSION: Desc = Desc::new(
    "traefik_api_version_info",
    Kind::Gauge,
    "The release; always 1.",
)
.labels(&["version", "codename"]);
const START: Desc = Desc::new(
    "traefik_api_start_time_seconds",
    Kind::Gauge,
    "When Traefik was started, in seconds since 1970.",
);
const FEATURES: Desc = Desc::new(
    "traefik_api_features_info",
    Kind::Gauge,
    "What is switched on: the kinds of tracing and metrics, empty for none, and whether there is an access log; always 1.",
)
.labels(&["tracing", "metrics", "access_log"]);
const PROVIDER: Desc = Desc::new(
    "traefik_api_provider_info",
    Kind::Gauge,
    "Where configuration comes from; always 1.",
)
.labels(&["provider"]);
const ENTRY_POINT: Desc = Desc::new(
    "traefik_api_entry_point_info",
    Kind::Gauge,
    "Where Traefik listens, and whether its HTTP routers have TLS without saying so; always 1.",
)
.labels(&["entry_point", "address", "transport", "tls"]);
const ROUTERS: Desc = Desc::new(
    "traefik_api_routers",
    Kind::Gauge,
    "Routers, by what Traefik makes of them.",
)
.labels(&["protocol", "provider", "status"]);
const SERVICES: Desc = Desc::new(
    "traefik_api_services",
    Kind::Gauge,
    "Services, by what Traefik makes of them.",
)
.labels(&["protocol", "provider", "status"]);
const MIDDLEWARES: Desc = Desc::new(
    "traefik_api_middlewares",
    Kind::Gauge,
    "Middlewares, by what Traefik makes of them.",
)
.labels(&["protocol", "provider", "status"]);
const OMITTED: Desc = Desc::new(
    "traefik_api_omitted_objects",
    Kind::Gauge,
    "Routers, services, servers, middlewares and certificates that have no metrics of their own, as there are more than --status.max-objects.",
)
.labels(&["kind"]);
const ROUTER_INFO: Desc = Desc::new(
    "traefik_api_router_info",
    Kind::Gauge,
    "What a router is, and what Traefik makes of it: enabled, warning, or disabled, which answers 404; tls is false, true, or passthrough; always 1.",
)
.labels(&["protocol", "router", "provider", "status", "service", "rule", "entry_points", "tls"]);
const ROUTER_ERROR: Desc = Desc::new(
    "traefik_api_router_error_info",
    Kind::Gauge,
    "What is wrong with a router; always 1.",
)
.labels(&["protocol", "router", "provider", "status", "error"]);
const ROUTER_WITHOUT: Desc = Desc::new(
    "traefik_api_router_without_server",
    Kind::Gauge,
    "Whether the router's service has no server that is up, so that its clients get 503; missing when Traefik does not know.",
)
.labels(&["protocol", "router", "provider", "service"]);
const SERVICE_INFO: Desc = Desc::new(
    "traefik_api_service_info",
    Kind::Gauge,
    "What a service is, in Traefik's words, and what Traefik makes of it: enabled also when no server is up; always 1.",
)
.labels(&["protocol", "service", "provider", "status", "type"]);
const SERVICE_ERROR: Desc = Desc::new(
    "traefik_api_service_error_info",
    Kind::Gauge,
    "What is wrong with a service; always 1.",
)
.labels(&["protocol", "service", "provider", "status", "error"]);
const SERVERS: Desc = Desc::new(
    "traefik_api_service_servers",
    Kind::Gauge,
    "Servers of a load balancer, and whether Traefik checks them.",
)
.labels(&["protocol", "service", "provider", "health_check"]);
const SERVERS_UP: Desc = Desc::new(
    "traefik_api_service_servers_up",
    Kind::Gauge,
    "Servers that are up; missing without a health check, as Traefik calls every server up then.",
)
.labels(&["protocol", "service", "provider", "health_check"]);
const SERVICE_WITHOUT: Desc = Desc::new(
    "traefik_api_service_without_server",
    Kind::Gauge,
    "Whether a service, with those that it is made of, has no server that is up; missing when Traefik does not know.",
)
.labels(&["protocol", "service", "provider"]);
const SERVER_INFO: Desc = Desc::new(
    "traefik_api_server_info",
    Kind::Gauge,
    "A server of a load balancer, and whether Traefik checks it; always 1.",
)
.labels(&["protocol", "service", "provider", "server", "health_check"]);
const SERVER_UP: Desc = Desc::new(
    "traefik_api_server_up",
    Kind::Gauge,
    "Whether a server is up; missing without a health check, as Traefik calls every server up then.",
)
.labels(&["protocol", "service", "provider", "server", "health_check"]);
const MIDDLEWARE_INFO: Desc = Desc::new(
    "traefik_api_middleware_info",
    Kind::Gauge,
    "What a middleware is, in Traefik's words, and what Traefik makes of it; always 1.",
)
.labels(&["protocol", "middleware", "provider", "status", "type"]);
const MIDDLEWARE_ERROR: Desc = Desc::new(
    "traefik_api_middleware_error_info",
    Kind::Gauge,
    "What is wrong with a middleware; always 1.",
)
.labels(&["protocol", "middleware", "provider", "status", "error"]);
const HASH: Desc = Desc::new(
    "traefik_api_configuration_hash",
    Kind::Gauge,
    "A number made of the configuration and not of its state: instances of one release with the same number have the same.",
)
.labels(&["protocol", "kind"]);

#[cfg(test)]
pub(super) const DESCS: &[Desc] = &[
    VERSION,
    START,
    FEATURES,
    PROVIDER,
    ENTRY_POINT,
    ROUTERS,
    ROUTER_INFO,
    ROUTER_ERROR,
    ROUTER_WITHOUT,
    SERVICES,
    SERVICE_INFO,
    SERVICE_ERROR,
    SERVICE_WITHOUT,
    SERVERS,
    SERVERS_UP,
    SERVER_INFO,
    SERVER_UP,
    MIDDLEWARES,
    MIDDLEWARE_INFO,
    MIDDLEWARE_ERROR,
    HASH,
    OMITTED,
];

/// Characters of a rule that are shown.
const MAX_RULE: usize = 256;
/// Entry points and providers that are shown.
const MAX_FACTS: usize = 200;

/// What the small answers tell.
pub(super) fn facts(
    version: Option<&Version>,
    overview: Option<&Overview>,
    entry_points: &[EntryPoint],
    out: &mut Vec<Family>,
) {
    if let Some(version) = version {
        let mut info = Family::of(&VERSION);
        info.push(&[cut(&version.version), cut(&version.codename)], 1.0);
        out.push(info);
        if let Some(start) = version.start {
            out.push(Family::single(&START, start.as_duration().as_secs_f64()));
        }
    }
    if let Some(overview) = overview {
        let mut features = Family::of(&FEATURES);
        let its = &overview.features;
        let access_log = word(its.access_log);
        features.push(&[cut(&its.tracing), cut(&its.metrics), access_log], 1.0);
        let mut providers = Family::of(&PROVIDER);
        let mut names: Vec<_> = overview.providers.iter().map(|it| cut(it)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names.into_iter().take(MAX_FACTS) {
            providers.push(&[name], 1.0);
        }
        out.extend([features, providers]);
    }
    let mut points = Family::of(&ENTRY_POINT);
    for point in entry_points.iter().take(MAX_FACTS) {
        let (address, transport) = point.address();
        let tls = word(point.has_tls());
        points.push(&[cut(&point.name), cut(address), cut(transport), tls], 1.0);
    }
    out.push(points);
}

/// What the large answer tells. Labels are made once for each object, and go with it from answer to answer.
pub(super) fn data(data: &mut RawData, max: usize, out: &mut Vec<Family>) {
    let mut show = Show::new(max);
    show.protocol("http", &mut data.http);
    show.protocol("tcp", &mut data.tcp);
    show.protocol("udp", &mut data.udp);
    show.end(out);
}

/// Families of objects that have a status: how many, what each is, and its error.
struct Group {
    kind: &'static str,
    counts: Family,
    info: Family,
    error: Family,
    omitted: usize,
}

impl Group {
    fn new(kind: &'static str, descs: [&Desc; 3]) -> Self {
        let [counts, info, error] = descs.map(Family::of);
        Self {
            kind,
            counts,
            info,
            error,
            omitted: 0,
        }
    }

    fn count<T>(&mut self, protocol: &str, objects: &Objects<T>, hash: &mut Family) {
        for (provider, counts) in &objects.counts {
            for (state, number) in State::ALL.into_iter().zip(counts) {
                self.counts
                    .push(&[protocol, provider, state.word()], count(*number));
            }
        }
        self.omitted += objects.omitted;
        hash.push(&[protocol, self.kind], objects.digest.sample());
    }

    fn show(&mut self, labels: &ObjectLabels) {
        self.info.push_labels(labels.info.clone(), 1.0);
        if !labels.error.is_empty() {
            self.error.push_labels(labels.error.clone(), 1.0);
        }
    }
}

struct Show {
    routers: Group,
    services: Group,
    middlewares: Group,
    router_without: Family,
    service_without: Family,
    servers: Family,
    servers_up: Family,
    server_info: Family,
    server_up: Family,
    hash: Family,
    /// Servers that may still be shown.
    room: usize,
    omitted_servers: usize,
}

impl Show {
    fn new(max: usize) -> Self {
        Self {
            routers: Group::new("router", [&ROUTERS, &ROUTER_INFO, &ROUTER_ERROR]),
            services: Group::new("service", [&SERVICES, &SERVICE_INFO, &SERVICE_ERROR]),
            middlewares: Group::new(
                "middleware",
                [&MIDDLEWARES, &MIDDLEWARE_INFO, &MIDDLEWARE_ERROR],
            ),
            router_without: Family::of(&ROUTER_WITHOUT),
            service_without: Family::of(&SERVICE_WITHOUT),
            servers: Family::of(&SERVERS),
            servers_up: Family::of(&SERVERS_UP),
            server_info: Family::of(&SERVER_INFO),
            server_up: Family::of(&SERVER_UP),
            hash: Family::of(&HASH),
            room: max,
            omitted_servers: 0,
        }
    }

    fn protocol(&mut self, protocol: &str, its: &mut Protocol) {
        self.routers.count(protocol, &its.routers, &mut self.hash);
        self.services.count(protocol, &its.services, &mut self.hash);
        // There are none of UDP.
        if protocol != "udp" {
            self.middlewares
                .count(protocol, &its.middlewares, &mut self.hash);
        }
        let services = &its.services;
        let without = services.all.iter();
        let without: Vec<_> = without.map(|it| services.is_without_server(it)).collect();
        for router in &mut its.routers.all {
            self.router(protocol, router, &its.services, &without);
        }
        for (service, without) in its.services.all.iter_mut().zip(&without) {
            self.service(protocol, service, *without);
        }
        for middleware in &mut its.middlewares.all {
            let labels = middleware
                .labels
                .take()
                .unwrap_or_else(|| middleware_labels(protocol, middleware));
            self.middlewares.show(&labels);
            middleware.labels = Some(labels);
        }
    }

    fn router(
        &mut self,
        protocol: &str,
        router: &mut Object<Router>,
        services: &Objects<Service>,
        without: &[Option<bool>],
    ) {
        let (at, is_known) = services.find(router);
        let labels = router.labels.take().filter(|_| is_known);
        let labels = labels.unwrap_or_else(|| {
            let service = at.and_then(|it| services.all.get(it));
            // As the service is called where it is shown.
            let name = service.map_or(router.its.service.as_str(), |it| it.name.as_str());
            router_labels(protocol, router, cut(name))
        });
        self.routers.show(&labels);
        // One that is disabled answers 404, whatever its servers do.
        let without = at.and_then(|it| *without.get(it)?);
        if let Some(without) = without.filter(|_| router.state != State::Disabled) {
            self.router_without
                .push_labels(labels.without.clone(), number(without));
        }
        router.labels = Some(labels);
    }

    fn service(&mut self, protocol: &str, service: &mut Object<Service>, without: Option<bool>) {
        let labels = service.labels.take();
        let labels = labels.unwrap_or_else(|| service_labels(protocol, service));
        self.services.show(&labels);
        if let Some(without) = without {
            self.service_without
                .push_labels(labels.without.clone(), number(without));
        }
        if service.its.kind == crate::api::rawdata::Kind::LoadBalancer {
            self.balancer(protocol, service, &labels.servers);
        }
        service.labels = Some(labels);
    }

    fn balancer(&mut self, protocol: &str, service: &mut Object<Service>, labels: &Labels) {
        let up = service.its.up();
        let all = service.its.servers.len();
        self.servers.push_labels(labels.clone(), count(all));
        if let Some(up) = up {
            self.servers_up.push_labels(labels.clone(), count(up));
        }
        let shown = self.room.min(all);
        self.room -= shown;
        self.omitted_servers += all - shown;
        let has_check = service.its.has_check;
        let (name, provider) = (&service.name, service.provider().to_owned());
        for server in service.its.servers.iter_mut().take(shown) {
            let url = &server.url;
            let labels = server.labels.get_or_insert_with(|| {
                let values = [protocol, name, &provider, url, word(has_check)];
                Labels::of_desc(&SERVER_INFO, &values)
            });
            self.server_info.push_labels(labels.clone(), 1.0);
            if let Some(is_up) = server.is_up.filter(|_| has_check) {
                self.server_up.push_labels(labels.clone(), number(is_up));
            }
        }
    }

    fn end(self, out: &mut Vec<Family>) {
        let mut omitted = Family::of(&OMITTED);
        omitted.push(&["server"], count(self.omitted_servers));
        for group in [self.routers, self.services, self.middlewares] {
            omitted.push(&[group.kind], count(group.omitted));
            out.extend([group.counts, group.info, group.error]);
        }
        out.extend([
            self.router_without,
            self.service_without,
            self.servers,
            self.servers_up,
            self.server_info,
            self.server_up,
            self.hash,
            omitted,
        ]);
    }
}

fn router_labels(protocol: &str, router: &Object<Router>, service: &str) -> ObjectLabels {
    let (name, provider, its) = (&router.name, router.provider(), &router.its);
    let tls = match its.tls {
        Tls::None => "false",
        Tls::Here => "true",
        Tls::Passed => "passthrough",
    };
    let info = [
        protocol,
        name,
        provider,
        router.state.word(),
        service,
        cut(&its.rule),
        &its.entry_points,
        tls,
    ];
    let without = [protocol, name, provider, service];
    ObjectLabels {
        info: Labels::of_desc(&ROUTER_INFO, &info),
        error: error_labels(&ROUTER_ERROR, protocol, router),
        without: Labels::of_desc(&ROUTER_WITHOUT, &without),
        servers: Labels::EMPTY,
    }
}

fn service_labels(protocol: &str, service: &Object<Service>) -> ObjectLabels {
    let (name, provider, its) = (&service.name, service.provider(), &service.its);
    let (state, kind) = (service.state.word(), its.kind.word());
    let info = [protocol, name, provider, state, kind];
    let servers = [protocol, name, provider, word(its.has_check)];
    ObjectLabels {
        info: Labels::of_desc(&SERVICE_INFO, &info),
        error: error_labels(&SERVICE_ERROR, protocol, service),
        without: Labels::of_desc(&SERVICE_WITHOUT, &[protocol, name, provider]),
        servers: Labels::of_desc(&SERVERS, &servers),
    }
}

fn middleware_labels(protocol: &str, middleware: &Object<Middleware>) -> ObjectLabels {
    let (name, provider) = (&middleware.name, middleware.provider());
    let (kind, state) = (&middleware.its.kind, middleware.state.word());
    ObjectLabels {
        info: Labels::of_desc(&MIDDLEWARE_INFO, &[protocol, name, provider, state, kind]),
        error: error_labels(&MIDDLEWARE_ERROR, protocol, middleware),
        ..ObjectLabels::default()
    }
}

/// Empty when nothing is wrong.
fn error_labels<T>(desc: &Desc, protocol: &str, object: &Object<T>) -> Labels {
    if object.error.is_empty() {
        return Labels::EMPTY;
    }
    let (name, provider, state) = (&object.name, object.provider(), object.state.word());
    Labels::of_desc(desc, &[protocol, name, provider, state, &object.error])
}

/// Routers that answer HTTP, and their services, as Traefik's own metrics call them.
pub(super) fn routers(data: &RawData) -> Vec<(String, String)> {
    let all = data
        .http
        .routers
        .all
        .iter()
        .filter(|it| it.state != State::Disabled);
    // Traefik counts no requests of its own routers.
    let all = all.filter(|it| it.provider() != "internal");
    let all = all.filter_map(|it| {
        let service = data.http.services.named_by(&it.name, &it.its.service)?;
        (service.provider() != "internal").then(|| (it.name.clone(), service.name.clone()))
    });
    all.collect()
}

pub(super) fn omitted_certificates(omitted: usize) -> Family {
    let mut family = Family::of(&OMITTED);
    family.push(&["certificate"], count(omitted));
    family
}

const fn word(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

/// The start of a text that may be long.
pub(super) fn cut(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(MAX_RULE)
        .map_or(text.len(), |it| it.0);
    text.get(..end).unwrap_or_default()
}
