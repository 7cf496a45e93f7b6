//! Which of the formats a client asks for.

/// A format that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' protobuf format, delimited: the one with native histograms.
    Protobuf,
}

impl Format {
    /// Chooses by an `Accept` header (RFC 9110, section 12.5.1). OpenMetrics and protobuf only when they are named: a
    /// browser or `curl` gets plain text. Of formats that are wanted as much as each other the one that says more.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let (mut protobuf, mut open, mut text) = (0, 0, 0);
        // A header has a bounded size, but nothing is won by looking at hundreds of ranges.
        for range in accept.unwrap_or("").split(',').take(32) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("");
            let (mut quality, mut version) = (1000, "");
            let (mut message, mut encoding) = ("", "");
            for parameter in parts {
                let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = thousandths(value),
                    "version" => version = value,
                    "proto" => message = value,
                    "encoding" => encoding = value,
                    _ => {}
                }
            }
            match kind.to_ascii_lowercase().as_str() {
                "application/vnd.google.protobuf"
                    if (message, encoding)
                        == ("io.prometheus.client.MetricFamily", "delimited") =>
                {
                    protobuf = protobuf.max(quality);
                }
                "application/openmetrics-text" if matches!(version, "" | "1.0.0" | "0.0.1") => {
                    open = open.max(quality);
                }
                "text/plain" if matches!(version, "" | "0.0.4") => text = text.max(quality),
                "text/*" | "*/*" => text = text.max(quality),
                _ => {}
            }
        }
        if protobuf > 0 && protobuf >= open && protobuf >= text {
            Self::Protobuf
        } else if open > 0 && open >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The `Content-Type` of the reply. Prometheus' client for Go adds which names it would have escaped
    /// (`escaping=underscores`), which nobody reads; ours need none.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// A weight of 0 to 1 with up to three digits, in thousandths; what is none counts as 0.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    if fraction.len() > 3 || !digits(fraction) || !digits(whole) {
        return 0;
    }
    match whole {
        "1" => 1000,
        "0" | "" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{self, OpenMetrics, Protobuf, Text};

    #[test]
    fn negotiation() {
        for (accept, expect) in [
            (None, Text),
            (Some(""), Text),
            (Some("*/*"), Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Text),
            // Prometheus 2.42.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                OpenMetrics,
            ),
            // Prometheus 2.42 with --enable-feature=native-histograms.
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Protobuf,
            ),
            // Prometheus 3 with native histograms, and 3.0, which asks for names in UTF-8 in every format.
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ),
                Protobuf,
            ),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1",
                ),
                Protobuf,
            ),
            // Prometheus 3 with the text formats first (scrape_protocols).
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,*/*;q=0.4",
                ),
                OpenMetrics,
            ),
            (
                Some(
                    "application/vnd.google.protobuf; proto=\"io.prometheus.client.MetricFamily\"; encoding=\"delimited\"; q=0.7, text/plain; version=0.0.4; q=0.3, */*; q=0.1",
                ),
                Protobuf,
            ),
            (Some("application/vnd.google.protobuf"), Text),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                ),
                Text,
            ),
            (
                Some("application/vnd.google.protobuf;proto=other.Message;encoding=delimited"),
                Text,
            ),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0",
                ),
                Text,
            ),
            // Prometheus 3.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ),
                OpenMetrics,
            ),
            (
                Some("text/plain;version=0.0.4, application/openmetrics-text;q=0.5"),
                Text,
            ),
            (Some("application/openmetrics-text;version=2.0.0"), Text),
            (Some("application/openmetrics-text;q=0"), Text),
            (Some("application/openmetrics-text;q=zero"), Text),
            (
                Some("APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.001"),
                OpenMetrics,
            ),
            (Some(";;;,,,=;q=="), Text),
        ] {
            assert_eq!(Format::negotiate(accept), expect, "{accept:?}");
        }
    }
}
