//! Proxies: `proxy_url`, `no_proxy` and the environment, as Go reads them.

use std::{env, net::IpAddr};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::ClientError;

/// The way to servers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For URLs of http. It may hold a password.
    pub http: Option<String>,
    /// For URLs of https.
    pub https: Option<String>,
    /// Hosts that are reached without a proxy, with commas between them. When there is a list, even an empty one, this machine is
    /// reached without a proxy, too.
    pub no_proxy: Option<String>,
    /// Sent with CONNECT.
    pub connect_headers: Vec<(String, String)>,
}

/// The URLs and the headers may hold passwords.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// What `http_proxy`, `https_proxy` and `no_proxy` say, or the same in upper case.
    #[must_use]
    pub fn from_environment() -> Self {
        let any = |names: [&str; 2]| {
            let mut found = names.into_iter().filter_map(|it| env::var(it).ok());
            found.find(|it| !it.is_empty())
        };
        Self {
            http: any(["http_proxy", "HTTP_PROXY"]),
            https: any(["https_proxy", "HTTPS_PROXY"]),
            no_proxy: Some(any(["no_proxy", "NO_PROXY"]).unwrap_or_default()),
            connect_headers: Vec::new(),
        }
    }

    /// What reqwest makes of it; None when every server is reached directly.
    pub(crate) fn check(&self) -> Result<Option<reqwest::Proxy>, ClientError> {
        let http = self.http.as_deref().map(address).transpose()?;
        let https = self.https.as_deref().map(address).transpose()?;
        if http.is_none() && https.is_none() {
            return Ok(None);
        }
        let around = self.no_proxy.as_deref().map(Around::new);
        let proxy = reqwest::Proxy::custom(move |url| {
            let proxy = if url.scheme() == "https" {
                &https
            } else {
                &http
            };
            if around.as_ref().is_some_and(|it| it.takes(url)) {
                None
            } else {
                proxy.clone()
            }
        });
        if self.connect_headers.is_empty() {
            return Ok(Some(proxy));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.connect_headers {
            let wrong = || ClientError::ProxyHeader(name.clone());
            let mut value = HeaderValue::from_str(value).map_err(|_error| wrong())?;
            value.set_sensitive(true);
            let name = HeaderName::try_from(name).map_err(|_error| wrong())?;
            headers.append(name, value);
        }
        Ok(Some(proxy.headers(headers)))
    }
}

/// An address without a scheme is one of http.
fn address(text: &str) -> Result<Url, ClientError> {
    let parse = |text: &str| {
        let url = Url::parse(text).ok()?;
        let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        (known && url.has_host()).then_some(url)
    };
    parse(text)
        .or_else(|| {
            let bare = !text.contains("://");
            bare.then(|| parse(&format!("http://{text}"))).flatten()
        })
        .ok_or(ClientError::Proxy)
}

/// Who is reached without a proxy.
struct Around(Vec<Entry>);

enum Entry {
    All,
    /// An address with its port, if it has one.
    Address(IpAddr, Option<u16>),
    /// Addresses that have these first bits in common.
    Network(IpAddr, u8),
    /// `.example.com`, whether the name without the dot is one of them, and a port.
    Domain(String, bool, Option<u16>),
}

impl Around {
    fn new(list: &str) -> Self {
        let entries = list.split(',').map(|it| it.trim().to_ascii_lowercase());
        Self(
            entries
                .filter(|it| !it.is_empty())
                .filter_map(|it| Entry::new(&it))
                .collect(),
        )
    }

    fn takes(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let ip: Option<IpAddr> = bare.parse().ok();
        if host == "localhost" || ip.is_some_and(|it| it.is_loopback()) {
            return true;
        }
        let port = url.port_or_known_default();
        let ports = |its: &Option<u16>| its.is_none() || *its == port;
        self.0.iter().any(|entry| match entry {
            Entry::All => true,
            Entry::Address(address, its) => ip == Some(*address) && ports(its),
            Entry::Network(network, bits) => ip.is_some_and(|it| within(it, *network, *bits)),
            Entry::Domain(suffix, itself, its) => {
                let named = host.ends_with(suffix.as_str())
                    || (*itself && suffix.strip_prefix('.') == Some(host.as_str()));
                named && ports(its)
            }
        })
    }
}

impl Entry {
    fn new(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((network, bits)) = text.split_once('/')
            && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u8>())
        {
            let widest = if network.is_ipv4() { 32 } else { 128 };
            return (bits <= widest).then_some(Self::Network(network, bits));
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix('*').filter(|it| it.starts_with('.'));
        let host = host.unwrap_or_else(|| text.rsplit_once(':').map_or(text, |it| it.0));
        if host.is_empty() {
            return None;
        }
        Some(match host.strip_prefix('.') {
            Some(_) => Self::Domain(host.to_owned(), false, port),
            None => Self::Domain(format!(".{host}"), true, port),
        })
    }
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shift = |all: u32| all.saturating_sub(u32::from(bits));
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Around, Url, address};

    #[test]
    fn who_is_reached_without() {
        for (list, url, expect) in [
            ("", "http://example.com/", false),
            ("", "http://localhost:9/", true),
            ("", "http://127.0.0.2:9/", true),
            ("", "http://[::1]:9/", true),
            ("*", "http://example.com/", true),
            ("example.com", "http://example.com/", true),
            ("example.com", "http://a.example.com/", true),
            ("example.com", "http://badexample.com/", false),
            (".example.com", "http://example.com/", false),
            (".example.com", "http://a.example.com/", true),
            ("*.example.com", "http://a.example.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("EXAMPLE.com:8080", "http://example.com:8080/", true),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("10.0.0.0/8, x", "http://10.1.2.3/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("0.0.0.0/0", "http://11.1.2.3/", true),
            ("10.1.2.3:80", "http://10.1.2.3/", true),
            ("10.1.2.3:81", "http://10.1.2.3/", false),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("fd00::1", "http://[fd00::1]/", true),
            ("10.0.0.0/99", "http://10.1.2.3/", false),
            (":x,,", "http://10.1.2.3/", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(Around::new(list).takes(&url), expect, "{list} {url}");
        }
    }

    #[test]
    fn addresses() {
        for (text, expect) in [
            ("http://a:1", true),
            ("https://user:password@a:1", true),
            ("socks5://a:1", true),
            ("a:1", true),
            ("a.example", true),
            ("ftp://a", false),
            ("", false),
            ("http://", false),
        ] {
            assert_eq!(address(text).is_ok(), expect, "{text}");
        }
    }
}
