//! `/api/rawdata`: routers, middlewares and services of all protocols, in one answer. Read in one pass; what is not shown is digested and
//! dropped, and of what is beyond the bound only the count stays. Of the next answer only the objects that differ are read.

mod reader;

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData, ops::Range};

use exposition::Labels;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::Value;

use self::reader::Reader;
use crate::digest::Digest;

/// Characters of a name, a rule or an address that are shown.
const MAX_TEXT: usize = 256;
/// Characters of the errors of an object that are shown.
const MAX_ERROR: usize = 300;
/// Providers that are told apart.
const MAX_PROVIDERS: usize = 64;
/// Where the others are counted.
const OTHER: &str = "other";

/// Everything that Traefik routes, and to where.
#[derive(Debug, Default)]
pub(crate) struct RawData {
    pub(crate) http: Protocol,
    pub(crate) tcp: Protocol,
    pub(crate) udp: Protocol,
}

#[derive(Debug, Default)]
pub(crate) struct Protocol {
    pub(crate) routers: Objects<Router>,
    pub(crate) services: Objects<Service>,
    pub(crate) middlewares: Objects<Middleware>,
}

/// Objects of a kind, sorted by name.
#[derive(Debug)]
pub(crate) struct Objects<T> {
    /// Each in memory of its own, as they move from answer to answer.
    pub(crate) all: Vec<Box<Object<T>>>,
    /// Those that are beyond the bound.
    pub(crate) omitted: usize,
    /// By provider; those that are omitted, too.
    pub(crate) counts: BTreeMap<String, [usize; 3]>,
    /// Of their configuration, and not of their state.
    pub(crate) digest: Digest,
}

/// What every object has.
#[derive(Debug)]
pub(crate) struct Object<T> {
    /// With its provider, `name@provider`.
    pub(crate) name: String,
    pub(crate) state: State,
    /// What is wrong with it; empty when nothing is.
    pub(crate) error: String,
    pub(crate) its: T,
    /// As it was last shown.
    pub(crate) labels: Option<ObjectLabels>,
    digest: Digest,
    /// Where it stands in the answer, with its name.
    place: Range<usize>,
}

/// Labels of an object's metrics, which are made when it is first shown. Those that its kind has not are empty.
#[derive(Debug, Default)]
pub(crate) struct ObjectLabels {
    pub(crate) info: Labels,
    pub(crate) error: Labels,
    pub(crate) without: Labels,
    pub(crate) servers: Labels,
}

/// What Traefik makes of an object. The order is the one of [`Objects::counts`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Enabled,
    Warning,
    Disabled,
}

#[derive(Debug, Default)]
pub(crate) struct Router {
    pub(crate) service: String,
    /// Where it was found when it was last looked for.
    pub(crate) target: Option<Target>,
    pub(crate) rule: String,
    /// Hosts that the rule names, when somebody has looked.
    pub(crate) hosts: Option<Vec<String>>,
    /// With commas between them.
    pub(crate) entry_points: String,
    pub(crate) tls: Tls,
}

/// A service that a router names.
#[derive(Debug)]
pub(crate) struct Target {
    /// With its provider.
    pub(crate) name: String,
    /// Its place among the services.
    pub(crate) at: usize,
}

/// Who ends TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tls {
    #[default]
    None,
    Here,
    /// A TCP router that passes it on.
    Passed,
}

#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    /// Of a load balancer.
    pub(crate) servers: Vec<Server>,
    /// Whether Traefik looks after them, by asking them or by what becomes of requests.
    pub(crate) has_check: bool,
    /// Whether it speaks gRPC, by its health check or by servers without TLS that speak HTTP/2.
    pub(crate) is_grpc: bool,
    /// Services that it gives requests to.
    children: Vec<String>,
    /// What Traefik says of servers, until it is with them.
    statuses: BTreeMap<String, bool>,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Server {
    pub(crate) url: String,
    /// What Traefik says; without a check it says UP whatever is true.
    pub(crate) is_up: Option<bool>,
    /// Of its metrics, as it was last shown.
    pub(crate) labels: Option<Labels>,
}

/// What a service does, by its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Traefik's own, or one of a later version.
    #[default]
    Other,
    LoadBalancer,
    Weighted,
    HighestRandomWeight,
    Mirroring,
    Failover,
}

#[derive(Debug, Default)]
pub(crate) struct Middleware {
    /// Its key, such as `stripPrefix`.
    pub(crate) kind: String,
}

impl State {
    pub(crate) const ALL: [Self; 3] = [Self::Enabled, Self::Warning, Self::Disabled];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Warning => "warning",
            Self::Disabled => "disabled",
        }
    }
}

impl Kind {
    /// Traefik's own word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::LoadBalancer => "loadBalancer",
            Self::Weighted => "weighted",
            Self::HighestRandomWeight => "highestRandomWeight",
            Self::Mirroring => "mirroring",
            Self::Failover => "failover",
        }
    }
}

impl<T> Object<T> {
    /// What stands behind the last `@`.
    pub(crate) fn provider(&self) -> &str {
        provider(&self.name)
    }
}

fn provider(name: &str) -> &str {
    name.rsplit_once('@').map_or("", |it| it.1)
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            omitted: 0,
            counts: BTreeMap::new(),
            digest: Digest::default(),
        }
    }
}

impl<T> Objects<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&Object<T>> {
        let at = self.position(name)?;
        self.all.get(at).map(|it| &**it)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let found = self.all.binary_search_by(|it| it.name.as_str().cmp(name));
        found.ok()
    }
}

fn named<'a>(object: &str, service: &'a str) -> Cow<'a, str> {
    if service.contains('@') {
        return Cow::Borrowed(service);
    }
    Cow::Owned(format!("{service}@{}", provider(object)))
}

/// A service that gives requests to others may be one of them.
const MAX_DEPTH: usize = 8;

impl Objects<Service> {
    /// The service that an object names, with or without the provider, which is the object's own then.
    pub(crate) fn named_by(&self, object: &str, service: &str) -> Option<&Object<Service>> {
        self.get(&named(object, service))
    }

    /// Where the service of a router is. True when it is where it was before, by the same name.
    pub(crate) fn find(&self, router: &mut Object<Router>) -> (Option<usize>, bool) {
        if let Some(Target { name, at }) = &router.its.target
            && self.all.get(*at).is_some_and(|it| it.name == *name)
        {
            return (Some(*at), true);
        }
        let name = named(&router.name, &router.its.service).into_owned();
        let at = self.position(&name);
        router.its.target = at.map(|at| Target { name, at });
        (at, false)
    }

    /// Whether requests find no server: all that Traefik looks after are down, or there are none. None when that is not known.
    pub(crate) fn is_without_server(&self, service: &Object<Service>) -> Option<bool> {
        self.without(service, MAX_DEPTH)
    }

    fn without(&self, service: &Object<Service>, depth: usize) -> Option<bool> {
        let its = &service.its;
        match its.kind {
            Kind::Other => None,
            Kind::LoadBalancer if its.servers.is_empty() => Some(true),
            Kind::LoadBalancer => its.up().map(|it| it == 0),
            Kind::Weighted | Kind::HighestRandomWeight | Kind::Mirroring | Kind::Failover => {
                let depth = depth.checked_sub(1)?;
                let mut are_all = true;
                for child in &its.children {
                    let child = self.named_by(&service.name, child);
                    match child.and_then(|it| self.without(it, depth)) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => are_all = false,
                    }
                }
                are_all.then_some(true)
            }
        }
    }
}

/// Services that are looked at on the way to load balancers.
const MAX_VISITS: usize = 1000;

impl Objects<Service> {
    /// Whether requests to a service may come to a load balancer of which something is so.
    pub(crate) fn lead_to(
        &self,
        service: &Object<Service>,
        is: &dyn Fn(&Object<Service>) -> bool,
    ) -> bool {
        let mut open = vec![service];
        for _ in 0..MAX_VISITS {
            let Some(service) = open.pop() else {
                break;
            };
            if service.its.kind == Kind::LoadBalancer && is(service) {
                return true;
            }
            let children = service.its.children.iter();
            open.extend(children.filter_map(|it| self.named_by(&service.name, it)));
        }
        false
    }
}

impl Service {
    /// Servers that are up, when Traefik knows.
    pub(crate) fn up(&self) -> Option<usize> {
        let is_known = self.has_check && self.servers.iter().all(|it| it.is_up.is_some());
        is_known.then(|| {
            self.servers
                .iter()
                .filter(|it| it.is_up == Some(true))
                .count()
        })
    }
}

/// Reads an answer, with at most `max` objects of a kind and `max` servers of a service.
pub(crate) fn read(json: &[u8], max: usize) -> Result<RawData, serde_json::Error> {
    read_again(json, max, &[], RawData::default())
}

/// Reads an answer after another one, of which what stayed the same is taken over.
pub(crate) fn read_again(
    json: &[u8],
    max: usize,
    before: &[u8],
    mut old: RawData,
) -> Result<RawData, serde_json::Error> {
    let mut data = RawData::default();
    let mut reader = Reader::new(json);
    reader.members(|reader| {
        let Text(key) = reader.key()?;
        let (new, old) = (&mut data, &mut old);
        let how = (before, max);
        match key.as_ref() {
            "routers" => objects(reader, &mut new.http.routers, &mut old.http.routers, how),
            "services" => objects(reader, &mut new.http.services, &mut old.http.services, how),
            "middlewares" => {
                let (new, old) = (&mut new.http.middlewares, &mut old.http.middlewares);
                objects(reader, new, old, how)
            }
            "tcpRouters" => objects(reader, &mut new.tcp.routers, &mut old.tcp.routers, how),
            "tcpServices" => objects(reader, &mut new.tcp.services, &mut old.tcp.services, how),
            "tcpMiddlewares" => {
                let (new, old) = (&mut new.tcp.middlewares, &mut old.tcp.middlewares);
                objects(reader, new, old, how)
            }
            "udpRouters" => objects(reader, &mut new.udp.routers, &mut old.udp.routers, how),
            "udpServices" => objects(reader, &mut new.udp.services, &mut old.udp.services, how),
            _ => reader.value().map(drop),
        }
    })?;
    reader.end()?;
    Ok(data)
}

/// Reads the objects of a kind. Traefik sorts them by name: so each is looked for where the one before it was found.
fn objects<T: Part>(
    reader: &mut Reader<'_>,
    new: &mut Objects<T>,
    old: &mut Objects<T>,
    (before, max): (&[u8], usize),
) -> Result<(), serde_json::Error> {
    *new = Objects::default();
    let mut old = std::mem::take(&mut old.all).into_iter().peekable();
    new.all.reserve_exact(old.len());
    reader.members(|reader| {
        let is_next = |place: &Range<usize>| {
            let text = before.get(place.clone());
            text.is_some_and(|it| reader.is_next(it))
        };
        if let Some(mut object) = old.next_if(|it| is_next(&it.place)) {
            object.place = reader.skip(object.place.len());
            new.add(object, max);
            return Ok(());
        }
        let start = reader.place();
        let Text(name) = reader.key()?;
        let text = reader.value()?;
        let mut object = Box::new(object(name, text)?);
        object.place = start..reader.place();
        // Those that this one takes the place of, or that are gone.
        while old.next_if(|it| it.name <= object.name).is_some() {}
        new.add(object, max);
        Ok(())
    })?;
    if !new.all.is_sorted_by(|a, b| a.name < b.name) {
        new.all.sort_by(|a, b| a.name.cmp(&b.name));
        new.all.dedup_by(|b, a| a.name == b.name);
    }
    Ok(())
}

fn object<T: Part>(name: Cow<'_, str>, json: &str) -> Result<Object<T>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let (mut object, digest) = Whose::<T>(name, PhantomData).deserialize(&mut deserializer)?;
    object.digest = Digest::of(&object.name).then(digest);
    Ok(object)
}

/// At most so many characters of a text.
fn bounded(text: Cow<'_, str>, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.into_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<T> Objects<T> {
    fn add(&mut self, object: Box<Object<T>>, max: usize) {
        self.digest = self.digest.and(object.digest);
        self.count(object.provider(), object.state);
        if self.all.len() < max {
            self.all.push(object);
        } else {
            self.omitted += 1;
        }
    }

    fn count(&mut self, provider: &str, state: State) {
        let is_new = !self.counts.contains_key(provider);
        let provider = if is_new && self.counts.len() >= MAX_PROVIDERS {
            OTHER
        } else {
            provider
        };
        if !self.counts.contains_key(provider) {
            self.counts.insert(provider.to_owned(), [0; 3]);
        }
        if let Some([enabled, warning, disabled]) = self.counts.get_mut(provider) {
            *match state {
                State::Enabled => enabled,
                State::Warning => warning,
                State::Disabled => disabled,
            } += 1;
        }
    }
}

/// What reads one object of this name.
struct Whose<'de, T>(Cow<'de, str>, PhantomData<T>);

impl<'de, T: Part> DeserializeSeed<'de> for Whose<'de, T> {
    type Value = (Object<T>, Digest);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// What tells the kinds of objects from each other.
trait Part: Default {
    /// Reads the value of a key.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        entries: &mut A,
    ) -> Result<Read, A::Error>;

    /// After the last key.
    fn end(&mut self) {}
}

enum Read {
    /// It is configuration.
    Digested(Digest),
    /// It is state, which differs between instances and from hour to hour.
    State,
}

impl<'de, T: Part> Visitor<'de> for Whose<'de, T> {
    type Value = (Object<T>, Digest);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a router, service or middleware")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = Object {
            name: bounded(self.0, MAX_TEXT),
            state: State::default(),
            error: String::new(),
            its: T::default(),
            labels: None,
            digest: Digest::default(),
            place: 0..0,
        };
        let mut digest = Digest::default();
        while let Some(Text(key)) = entries.next_key()? {
            match key.as_ref() {
                "status" => object.state = entries.next_value()?,
                "error" => object.error = entries.next_value::<Errors>()?.0,
                "using" | "usedBy" => {
                    entries.next_value::<IgnoredAny>()?;
                }
                other => {
                    if let Read::Digested(its) = object.its.read(other, &mut entries)? {
                        digest = digest.and(Digest::of(other).then(its));
                    }
                }
            }
        }
        object.its.end();
        Ok((object, digest))
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(word) = Text::deserialize(deserializer)?;
        match word.as_ref() {
            "enabled" => Ok(Self::Enabled),
            "warning" => Ok(Self::Warning),
            "disabled" => Ok(Self::Disabled),
            _ => Err(D::Error::custom(
                "a status other than enabled, warning and disabled",
            )),
        }
    }
}

/// Texts of errors, put together and bounded.
struct Errors(String);

impl<'de> Deserialize<'de> for Errors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = List::deserialize(deserializer)?;
        Ok(Self(bounded(
            texts.joined("; ", MAX_ERROR).into(),
            MAX_ERROR,
        )))
    }
}

/// A list of texts, of which the first are kept.
#[derive(Default)]
struct List(Vec<String>, Digest);

/// Texts of a list that are kept.
const MAX_LIST: usize = 32;

impl List {
    /// Not much more than `max` characters.
    fn joined(&self, between: &str, max: usize) -> String {
        let mut all = String::new();
        for text in &self.0 {
            if !all.is_empty() {
                all.push_str(between);
            }
            all.push_str(text);
            if all.len() > 4 * max {
                break;
            }
        }
        all
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_unit<E>(self) -> Result<List, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List, A::Error> {
                let mut list = List::default();
                while let Some(Text(text)) = items.next_element()? {
                    list.1 = list.1.then(Digest::of(&text));
                    if list.0.len() < MAX_LIST {
                        list.0.push(bounded(text, MAX_ERROR));
                    }
                }
                Ok(list)
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl Part for Router {
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        entries: &mut A,
    ) -> Result<Read, A::Error> {
        let digest = match key {
            "service" | "rule" => {
                let Text(text) = entries.next_value()?;
                let digest = Digest::of(&text);
                let place = match key {
                    "rule" => &mut self.rule,
                    _ => &mut self.service,
                };
                // Hosts are looked for in all of a rule: it is cut where it is shown.
                *place = bounded(text, 16 * MAX_TEXT);
                digest
            }
            "entryPoints" => {
                let list: List = entries.next_value()?;
                self.entry_points = bounded(list.joined(",", MAX_TEXT).into(), MAX_TEXT);
                list.1
            }
            "tls" => {
                let value: Value = entries.next_value()?;
                self.tls = match (&value, value.get("passthrough")) {
                    (Value::Null, _) => Tls::None,
                    (_, Some(Value::Bool(true))) => Tls::Passed,
                    _ => Tls::Here,
                };
                Digest::deserialize(value).map_err(A::Error::custom)?
            }
            _ => entries.next_value()?,
        };
        Ok(Read::Digested(digest))
    }
}

impl Part for Middleware {
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        entries: &mut A,
    ) -> Result<Read, A::Error> {
        if self.kind.is_empty() {
            self.kind = bounded(key.into(), MAX_TEXT);
        }
        Ok(Read::Digested(entries.next_value()?))
    }
}

impl Part for Service {
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        entries: &mut A,
    ) -> Result<Read, A::Error> {
        let kind = match key {
            "loadBalancer" => {
                self.kind = Kind::LoadBalancer;
                return Ok(Read::Digested(entries.next_value_seed(Balancer(self))?));
            }
            "serverStatus" => {
                entries.next_value_seed(Statuses(self))?;
                return Ok(Read::State);
            }
            "weighted" => Kind::Weighted,
            "highestRandomWeight" => Kind::HighestRandomWeight,
            "mirroring" => Kind::Mirroring,
            "failover" => Kind::Failover,
            _ => return Ok(Read::Digested(entries.next_value()?)),
        };
        self.kind = kind;
        let value: Value = entries.next_value()?;
        let name = |it: &Value| it.as_str().map(str::to_owned);
        match kind {
            Kind::Mirroring | Kind::Failover => {
                let named = ["service", "fallback"]
                    .iter()
                    .filter_map(|it| value.get(it));
                self.children = named.filter_map(name).collect();
            }
            _ => {
                let services = value.get("services").and_then(Value::as_array);
                // Nothing goes to one whose weight is 0.
                let chosen = services
                    .into_iter()
                    .flatten()
                    .filter(|it| it.get("weight").and_then(Value::as_i64) != Some(0));
                self.children = chosen.filter_map(|it| name(it.get("name")?)).collect();
            }
        }
        Ok(Read::Digested(
            Digest::deserialize(value).map_err(A::Error::custom)?,
        ))
    }

    fn end(&mut self) {
        // One that is named twice is one.
        self.servers.sort_unstable_by(|a, b| a.url.cmp(&b.url));
        self.servers.dedup_by(|b, a| a.url == b.url);
        self.is_grpc |= self.servers.iter().any(|it| it.url.starts_with("h2c://"));
        let statuses = std::mem::take(&mut self.statuses);
        for server in &mut self.servers {
            server.is_up = statuses.get(&server.url).copied();
        }
    }
}

/// What reads a load balancer into its service.
struct Balancer<'a>(&'a mut Service);

impl<'de> DeserializeSeed<'de> for Balancer<'_> {
    type Value = Digest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Digest, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Balancer<'_> {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a load balancer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Digest, A::Error> {
        let mut all = Digest::default();
        while let Some(Text(key)) = entries.next_key()? {
            let digest = match key.as_ref() {
                "servers" => {
                    let Servers(servers, digest) = entries.next_value()?;
                    self.0.servers = servers;
                    digest
                }
                "healthCheck" => {
                    self.0.has_check = true;
                    let value: Value = entries.next_value()?;
                    let mode = value.get("mode").and_then(Value::as_str);
                    self.0.is_grpc |= mode == Some("grpc");
                    Digest::deserialize(value).map_err(A::Error::custom)?
                }
                "passiveHealthCheck" => {
                    self.0.has_check = true;
                    entries.next_value()?
                }
                _ => entries.next_value()?,
            };
            all = all.and(Digest::of(&key).then(digest));
        }
        Ok(all)
    }
}

/// Servers of a load balancer, and their digest: providers that look for them give them in any order.
#[derive(Default)]
struct Servers(Vec<Server>, Digest);

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Servers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of servers")
            }

            fn visit_unit<E>(self) -> Result<Servers, E> {
                Ok(Servers::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Servers, A::Error> {
                let mut all = Servers::default();
                while let Some(OneServer(url, digest)) = items.next_element()? {
                    all.1 = all.1.and(digest);
                    if let Some(url) = url {
                        all.0.push(Server {
                            url,
                            ..Server::default()
                        });
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(Each)
    }
}

struct OneServer(Option<String>, Digest);

impl<'de> Deserialize<'de> for OneServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = OneServer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a server")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<OneServer, A::Error> {
                let mut server = OneServer(None, Digest::default());
                while let Some(Text(key)) = entries.next_key()? {
                    let digest = match key.as_ref() {
                        "url" | "address" => {
                            let Text(text) = entries.next_value()?;
                            let digest = Digest::of(&text);
                            server.0 = Some(bounded(text, MAX_TEXT));
                            digest
                        }
                        _ => entries.next_value()?,
                    };
                    server.1 = server.1.and(Digest::of(&key).then(digest));
                }
                Ok(server)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// What reads the statuses of servers into their service.
struct Statuses<'a>(&'a mut Service);

impl<'de> DeserializeSeed<'de> for Statuses<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Statuses<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("servers with UP or DOWN")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(Text(server)) = entries.next_key()? {
            let Text(word) = entries.next_value()?;
            let is_up = match word.as_ref() {
                "UP" => true,
                "DOWN" => false,
                _ => return Err(A::Error::custom("a server that is neither UP nor DOWN")),
            };
            self.0.statuses.insert(bounded(server, MAX_TEXT), is_up);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, RawData, Server, State, Tls, read};

    fn data(json: &str) -> RawData {
        read(json.as_bytes(), 100).unwrap()
    }

    #[test]
    fn routers() {
        let data = data(
            r#"{"later":[1],"routers":{"b@file":{"rule":"Host(`b`)","status":"disabled","error":["x","y"],"entryPoints":["web","api"],
            "service":"s","tls":{"certResolver":"le"},"using":["web"],"later":{"a":[]}},"a@docker":{"status":"enabled"}},
            "tcpRouters":{"t@file":{"tls":{"passthrough":true}},"u@file":{"tls":{"passthrough":false}}}}"#,
        );
        let [a, b] = data.http.routers.all.as_slice() else {
            panic!("{data:?}");
        };
        assert_eq!(
            (a.name.as_str(), a.provider(), a.state),
            ("a@docker", "docker", State::Enabled)
        );
        assert_eq!((b.error.as_str(), b.state), ("x; y", State::Disabled));
        assert_eq!(b.its.entry_points, "web,api");
        assert_eq!((b.its.tls, a.its.tls), (Tls::Here, Tls::None));
        assert_eq!(data.tcp.routers.all[0].its.tls, Tls::Passed);
        assert_eq!(data.tcp.routers.all[1].its.tls, Tls::Here);
        assert_eq!(data.http.routers.counts["file"], [0, 0, 1]);
    }

    #[test]
    fn servers() {
        let data = data(
            r#"{"services":{"a@file":{"loadBalancer":{"servers":[{"url":"http://b"},{"url":"http://a","weight":2},{"url":"http://a"}],
            "healthCheck":{"path":"/"}},"status":"enabled","serverStatus":{"http://a":"UP","http://b":"DOWN","http://gone":"UP"}},
            "b@file":{"loadBalancer":{"servers":[{"address":"x:1"}]}}, "c@internal":{}}}"#,
        );
        let server = |url: &str, is_up| Server {
            url: url.to_owned(),
            is_up,
            labels: None,
        };
        let [a, b, c] = data.http.services.all.as_slice() else {
            panic!("{data:?}");
        };
        assert_eq!(
            a.its.servers,
            [
                server("http://a", Some(true)),
                server("http://b", Some(false))
            ]
        );
        assert_eq!((a.its.up(), a.its.kind), (Some(1), Kind::LoadBalancer));
        assert_eq!(b.its.servers, [server("x:1", None)]);
        assert_eq!((b.its.up(), c.its.kind), (None, Kind::Other));
    }

    #[test]
    fn without_a_server() {
        let checked = |word: &str| {
            format!(
                r#"{{"loadBalancer":{{"servers":[{{"url":"u"}}],"healthCheck":{{}}}},"serverStatus":{{"u":"{word}"}}}}"#
            )
        };
        let data = data(&format!(
            r#"{{"services":{{"up@f":{},"down@f":{},"dumb@f":{{"loadBalancer":{{"servers":[{{"url":"u"}}]}},"serverStatus":{{"u":"UP"}}}},
            "empty@f":{{"loadBalancer":{{}}}},
            "w1@f":{{"weighted":{{"services":[{{"name":"up","weight":1}},{{"name":"down@f"}}]}}}},
            "w2@f":{{"weighted":{{"services":[{{"name":"up","weight":0}},{{"name":"down","weight":1}}]}}}},
            "w3@f":{{"highestRandomWeight":{{"services":[{{"name":"dumb"}},{{"name":"down"}}]}}}},
            "f1@f":{{"failover":{{"service":"down","fallback":"up"}}}},
            "f2@f":{{"failover":{{"service":"down","fallback":"empty"}}}},
            "m@f":{{"mirroring":{{"service":"down","mirrors":[{{"name":"up"}}]}}}},
            "loop@f":{{"weighted":{{"services":[{{"name":"loop"}}]}}}},
            "lost@f":{{"weighted":{{"services":[{{"name":"nope"}}]}}}},
            "api@internal":{{}}}}}}"#,
            checked("UP"),
            checked("DOWN"),
        ));
        let services = &data.http.services;
        for (name, expect) in [
            ("up@f", Some(false)),
            ("down@f", Some(true)),
            // Traefik says UP, and knows nothing.
            ("dumb@f", None),
            ("empty@f", Some(true)),
            ("w1@f", Some(false)),
            ("w2@f", Some(true)),
            ("w3@f", None),
            ("f1@f", Some(false)),
            ("f2@f", Some(true)),
            ("m@f", Some(true)),
            ("loop@f", None),
            ("lost@f", None),
            ("api@internal", None),
        ] {
            let found = services.is_without_server(services.get(name).unwrap());
            assert_eq!(found, expect, "{name}");
        }
    }

    #[test]
    fn digests_are_of_configuration() {
        let of = |json: &str| data(json).http.services.digest;
        let a = of(
            r#"{"services":{"a@f":{"loadBalancer":{"servers":[{"url":"u"},{"url":"v"}],"passHostHeader":true},"status":"enabled",
            "usedBy":["x"],"serverStatus":{"u":"UP"}}}}"#,
        );
        let same = of(
            r#"{"services":{"a@f":{"loadBalancer":{"passHostHeader":true,"servers":[{"url":"v"},{"url":"u"}]},"status":"warning",
            "error":["e"],"serverStatus":{"u":"DOWN"}}}}"#,
        );
        assert_eq!(a, same);
        for other in [
            r#"{"services":{"b@f":{"loadBalancer":{"servers":[{"url":"u"},{"url":"v"}],"passHostHeader":true}}}}"#,
            r#"{"services":{"a@f":{"loadBalancer":{"servers":[{"url":"u"}],"passHostHeader":true}}}}"#,
            r#"{"services":{"a@f":{"loadBalancer":{"servers":[{"url":"u","weight":2},{"url":"v"}],"passHostHeader":true}}}}"#,
            r#"{"services":{"a@f":{"loadBalancer":{"servers":[{"url":"u"},{"url":"v"}],"passHostHeader":false}}}}"#,
            "{}",
        ] {
            assert_ne!(a, of(other), "{other}");
        }
        // What is beyond the bound counts.
        let whole = r#"{"routers":{"a@f":{"rule":"1"},"b@f":{"rule":"2"}}}"#;
        let cut = read(whole.as_bytes(), 1).unwrap().http.routers;
        assert_eq!(
            (cut.all.len(), cut.omitted, cut.counts["f"]),
            (1, 1, [2, 0, 0])
        );
        assert_eq!(cut.digest, data(whole).http.routers.digest);
    }

    #[test]
    fn bounds() {
        let long = "é".repeat(10_000);
        let data = data(&format!(
            r#"{{"routers":{{"{long}":{{"rule":"{long}","error":["{long}","{long}"],"status":"warning"}}}}}}"#
        ));
        let router = &data.http.routers.all[0];
        assert_eq!(router.name.chars().count(), 257);
        assert_eq!(router.error.chars().count(), 301);
        let many: String = (0..100).map(|it| format!(r#","r@{it}":{{}}"#)).collect();
        let counts = self::data(&format!(r#"{{"routers":{{"a@f":{{}}{many}}}}}"#))
            .http
            .routers
            .counts;
        assert_eq!((counts.len(), counts["other"]), (65, [37, 0, 0]));
    }

    #[test]
    fn what_is_no_answer() {
        for json in [
            "",
            "[]",
            "null",
            "1",
            "{",
            r#"{"routers":[]}"#,
            r#"{"routers":{"a":1}}"#,
            r#"{"routers":{"a":{"status":"odd"}}}"#,
            r#"{"routers":{"a":{"status":1}}}"#,
            r#"{"services":{"a":{"serverStatus":{"u":"?"}}}}"#,
            r#"{} {}"#,
            r#"{"services":{"a":{"loadBalancer":[]}}}"#,
        ] {
            assert!(read(json.as_bytes(), 10).is_err(), "{json}");
        }
        let deep = format!(
            r#"{{"routers":{{"a":{{"x":{}1{}}}}}}}"#,
            "[".repeat(1000),
            "]".repeat(1000)
        );
        assert!(read(deep.as_bytes(), 10).is_err());
        assert!(read(b"{}", 10).unwrap().http.routers.all.is_empty());
    }
}
