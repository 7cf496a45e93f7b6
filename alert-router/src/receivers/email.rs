//! A message as a mail of text and HTML, over SMTP with STARTTLS or TLS.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use daemon::chain;
use jiff::Timestamp;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{Certificate, Identity, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::{
    Failure,
    message::{Item, Message},
};
use crate::{
    alert::Fingerprint,
    config::{EmailSettings, addresses},
    core::{Notification, Retry, Status},
    template::{Data, Templates},
};

/// For each step of a conversation with a server.
const TIMEOUT: Duration = Duration::from_secs(20);
/// SMTP over TLS from the start (RFC 8314).
const IMPLICIT_TLS: u16 = 465;
/// Notifications of which it is known who has them already.
const REMEMBERED: usize = 1000;

/// Who has got a notification that others have not got yet, so that a new try does not tell anybody twice.
#[derive(Default)]
pub(super) struct Delivered(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Delivered {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What templates made of the settings.
#[derive(Debug)]
pub(super) struct Filled {
    to: Vec<String>,
    from: String,
    written: Written,
}

/// What users wrote.
#[derive(Debug, Default)]
struct Written {
    headers: BTreeMap<String, String>,
    /// Text and HTML, when they are the user's.
    body: Option<(String, String)>,
}

impl Filled {
    /// Fills in everything. When a header or a body fails, the message is the built-in one, to the same people; what failed is given
    /// beside it.
    ///
    /// # Errors
    /// When it is not known whom the mail is for, or from.
    pub(super) fn new(
        settings: &EmailSettings,
        templates: &Templates,
        data: &Data,
        now: Timestamp,
    ) -> Result<(Self, Option<String>), String> {
        let text = |text: &str| templates.text(text, data, now);
        let to = text(&settings.to).map_err(|error| format!("to: {error}"))?;
        let to: Vec<_> = addresses(&to).map(str::to_owned).collect();
        if to.is_empty() {
            return Err("to: the template gives no address".to_owned());
        }
        let from = text(&settings.from).map_err(|error| format!("from: {error}"))?;
        let (written, complaint) = match Written::new(settings, templates, data, now) {
            Ok(written) => (written, None),
            Err(error) => (Written::default(), Some(error)),
        };
        Ok((Self { to, from, written }, complaint))
    }
}

impl Written {
    fn new(
        settings: &EmailSettings,
        templates: &Templates,
        data: &Data,
        now: Timestamp,
    ) -> Result<Self, String> {
        let text = |text: &str| templates.text(text, data, now);
        let headers = settings.headers.iter();
        let headers = headers.map(|(name, value)| Ok((name.clone(), text(value)?)));
        let mut headers = headers.collect::<Result<BTreeMap<_, _>, String>>()?;
        let is_users = settings.html.is_some()
            || settings.text.is_some()
            || templates.has_own("email.default.");
        if !is_users {
            return Ok(Self {
                headers,
                body: None,
            });
        }
        let html = settings.html.as_deref();
        let html = html.unwrap_or("{{ template \"email.default.html\" . }}");
        let html = templates.html(html, data, now)?;
        let plain = text(settings.text.as_deref().unwrap_or(""))?;
        if !headers.contains_key("Subject") {
            let subject = text("{{ template \"email.default.subject\" . }}")?;
            headers.insert("Subject".to_owned(), subject);
        }
        Ok(Self {
            headers,
            body: Some((plain, html)),
        })
    }
}

/// Whether the settings can work: the files of `tls_config` are read.
pub(super) fn check(settings: &EmailSettings) -> Result<(), String> {
    tls(settings).map(drop)
}

/// Sends a mail to each recipient by itself: one whom the server refuses keeps nobody else from it.
pub(super) async fn send(
    settings: &EmailSettings,
    filled: &Filled,
    message: &Message,
    told: &Notification,
    delivered: &Delivered,
) -> Result<(), Failure> {
    let local = |error: String| Failure {
        reason: "other",
        error,
        retry: Retry::No,
    };
    let mail = render(filled, message, told).map_err(local)?;
    let bytes = mail.formatted();
    let transport = transport(settings)?;
    let key = notification_key(told);
    let from: Mailbox = filled
        .from
        .parse()
        .map_err(|error| local(format!("from: {error}")))?;
    let (mut refused, mut failed) = (Vec::new(), None);
    for to in &filled.to {
        if delivered.lock().get(&key).is_some_and(|it| it.contains(to)) {
            continue;
        }
        let recipient: Mailbox = to.parse().map_err(|error| local(format!("to: {error}")))?;
        let envelope = envelope(&from.email, &recipient.email).map_err(local)?;
        match transport.send_raw(&envelope, &bytes).await {
            Ok(_) => remember(delivered, &key, to),
            // The server will say the same again of this one.
            Err(error) if error.is_permanent() => {
                let error = chain(&error).to_string();
                tracing::error!(
                    receiver = told.integration.receiver,
                    to,
                    error,
                    "the mail server refuses a recipient"
                );
                remember(delivered, &key, to);
                refused.push(format!("{to}: {error}"));
            }
            Err(error) => failed = Some(failure(&error)),
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    delivered.lock().remove(&key);
    if refused.len() == filled.to.len() {
        return Err(Failure {
            reason: "clientError",
            error: refused.join("; "),
            retry: Retry::No,
        });
    }
    Ok(())
}

fn remember(delivered: &Delivered, key: &str, to: &str) {
    let mut delivered = delivered.lock();
    if delivered.len() >= REMEMBERED {
        delivered.pop_first();
    }
    delivered
        .entry(key.to_owned())
        .or_default()
        .insert(to.to_owned());
}

fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    Failure {
        reason: if error.is_timeout() {
            "contextDeadlineExceeded"
        } else {
            "other"
        },
        error: chain(error).to_string(),
        retry: Retry::Backoff,
    }
}

/// The integration, the group and what is told of it.
fn notification_key(told: &Notification) -> String {
    let integration = &told.integration;
    let alerts: Vec<_> = told
        .alerts
        .iter()
        .map(|(fingerprint, alert, status)| {
            format!("{fingerprint}{}{}", status.as_str(), alert.starts_at)
        })
        .collect();
    format!(
        "{}/{}/{}/{}",
        integration.receiver,
        integration.index,
        told.group_key,
        alerts.join(",")
    )
}

fn envelope(from: &Address, to: &Address) -> Result<Envelope, String> {
    Envelope::new(Some(from.clone()), vec![to.clone()]).map_err(|error| error.to_string())
}

fn transport(settings: &EmailSettings) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
    let failed = |error: String| Failure {
        reason: "other",
        error,
        retry: Retry::Backoff,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
        .port(settings.port)
        .timeout(Some(TIMEOUT))
        .tls(tls(settings).map_err(failed)?);
    if let Some(hello) = &settings.hello {
        builder = builder.hello_name(ClientId::Domain(hello.clone()));
    }
    if let Some(user) = &settings.username {
        let password = settings.password.as_ref().map(|it| it.read()).transpose();
        let password = password.map_err(|error| failed(error.to_string()))?;
        let password = password.map_or_else(String::new, |it| it.expose().to_owned());
        builder = builder
            .credentials(Credentials::new(user.clone(), password))
            .authentication(vec![Mechanism::Plain, Mechanism::Login]);
    }
    Ok(builder.build())
}

fn tls(settings: &EmailSettings) -> Result<Tls, String> {
    let implicit = settings.port == IMPLICIT_TLS;
    if !implicit && !settings.require_tls {
        return Ok(Tls::None);
    }
    let read = |path: &std::path::Path| {
        fs::read(path)
            .map_err(|error| format!("tls_config: cannot read {}: {error}", path.display()))
    };
    let name = settings.tls.server_name.as_ref().unwrap_or(&settings.host);
    let mut builder = TlsParameters::builder(name.clone())
        .dangerous_accept_invalid_certs(settings.tls.insecure_skip_verify);
    if let Some(path) = &settings.tls.ca_file {
        let certificate = Certificate::from_pem(&read(path)?);
        let certificate =
            certificate.map_err(|error| format!("tls_config.ca_file: {}", chain(&error)))?;
        builder = builder.add_root_certificate(certificate);
    }
    if let Some((cert, key)) = &settings.tls.identity {
        let identity = Identity::from_pem(&read(cert)?, &read(key)?);
        builder = builder.identify_with(
            identity.map_err(|error| format!("tls_config.cert_file: {}", chain(&error)))?,
        );
    }
    let parameters = builder
        .build_rustls()
        .map_err(|error| format!("tls_config: {}", chain(&error)))?;
    Ok(if implicit {
        Tls::Wrapper(parameters)
    } else {
        Tls::Required(parameters)
    })
}

fn render(filled: &Filled, message: &Message, told: &Notification) -> Result<Mail, String> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    let from = mailbox(&filled.from)?;
    let domain = from.email.domain().to_owned();
    let mut builder = Mail::builder().from(from);
    for to in &filled.to {
        builder = builder.to(mailbox(to)?);
    }
    // Mails of one group stand together in a mail program.
    let thread = format!(
        "<{}.{}@{domain}>",
        told.integration.index,
        hash(&told.group_key)
    );
    builder = builder
        .subject(message.title.as_str())
        .references(thread.clone())
        .in_reply_to(thread);
    for (name, value) in &filled.written.headers {
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|_error| format!("headers: {name:?} is no name of a header"))?;
        builder = builder.raw_header(HeaderValue::new(name, value.clone()));
    }
    let (plain, html) = match &filled.written.body {
        Some((plain, html)) => (plain.clone(), html.clone()),
        None => (text(message), html(message)),
    };
    let parts = match (plain.is_empty(), html.is_empty()) {
        (false, false) => MultiPart::alternative_plain_html(plain, html),
        (true, false) => MultiPart::alternative().singlepart(SinglePart::html(html)),
        (_, true) => MultiPart::alternative().singlepart(SinglePart::plain(plain)),
    };
    builder.multipart(parts).map_err(|error| error.to_string())
}

fn hash(text: &str) -> Fingerprint {
    Fingerprint::of(&[("group".to_owned(), text.to_owned())].into())
}

/// The plain part.
fn text(message: &Message) -> String {
    let mut out = format!("{}\n", message.title);
    for item in &message.items {
        out.push_str(&format!("\n{}\n", head(item)));
        for text in [&item.summary, &item.description] {
            if !text.is_empty() {
                out.push_str(&format!("  {text}\n"));
            }
        }
        for (name, value) in rows(item) {
            out.push_str(&format!("  {name}: {value}\n"));
        }
        for (name, url) in &item.links {
            out.push_str(&format!("  {name}: {url}\n"));
        }
        if let Some(command) = &item.command {
            out.push_str(&format!("  Repair:\n\n    {command}\n"));
        }
    }
    if message.more > 0 {
        out.push_str(&format!("\nand {} more alerts\n", message.more));
    }
    out
}

fn head(item: &Item) -> String {
    let name = if item.name.is_empty() {
        "Alert"
    } else {
        &item.name
    };
    let severity = if item.severity.is_empty() {
        String::new()
    } else {
        format!(", {}", item.severity)
    };
    format!("{name} ({}{severity})", item.status.as_str())
}

fn rows(item: &Item) -> Vec<(String, String)> {
    let mut rows = item.place.clone();
    rows.push(("since".to_owned(), item.since.clone()));
    if !item.until.is_empty() {
        rows.push(("until".to_owned(), item.until.clone()));
    }
    rows
}

/// The HTML part. Styles stand in the elements, for mail programs take no others.
fn html(message: &Message) -> String {
    use daemon::http::escape_html as escape;
    let color = |status, severity: &str| match (status, severity) {
        (Status::Resolved, _) => "#2eb67d",
        (Status::Firing, "info") => "#1d9bd1",
        (Status::Firing, "warning") => "#d99a00",
        (Status::Firing, _) => "#e01e5a",
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html>\n<body style=\"font-family:sans-serif;color:#1d1c1d;max-width:40em\">\n<h2 style=\"font-size:18px;color:{}\">{}</h2>\n",
        color(message.status, &message.severity),
        escape(&message.title)
    );
    for item in &message.items {
        out.push_str(&format!(
            "<div style=\"border-left:4px solid {};padding:4px 12px;margin:12px 0\">\n<p style=\"margin:4px 0\"><b>{}</b></p>\n",
            color(item.status, &item.severity),
            escape(&head(item))
        ));
        for text in [&item.summary, &item.description] {
            if !text.is_empty() {
                out.push_str(&format!("<p style=\"margin:4px 0\">{}</p>\n", escape(text)));
            }
        }
        out.push_str("<table style=\"border-collapse:collapse;font-size:14px\">\n");
        for (name, value) in rows(item) {
            out.push_str(&format!(
                "<tr><td style=\"padding:1px 12px 1px 0;color:#616061\">{}</td><td>{}</td></tr>\n",
                escape(&name),
                escape(&value)
            ));
        }
        out.push_str("</table>\n");
        let links: Vec<_> = item
            .links
            .iter()
            .map(|(name, url)| format!("<a href=\"{}\">{name}</a>", escape(url)))
            .collect();
        if !links.is_empty() {
            out.push_str(&format!(
                "<p style=\"margin:4px 0\">{}</p>\n",
                links.join(" · ")
            ));
        }
        if let Some(command) = &item.command {
            out.push_str(&format!(
                "<p style=\"margin:4px 0\">Repair:</p>\n<pre style=\"background:#f6f6f6;padding:8px;white-space:pre-wrap\">{}</pre>\n",
                escape(command)
            ));
        }
        out.push_str("</div>\n");
    }
    if message.more > 0 {
        out.push_str(&format!("<p>and {} more alerts</p>\n", message.more));
    }
    out.push_str("</body>\n</html>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::{html, text};
    use crate::receivers::message::{
        Message,
        tests::{commands, notifications},
    };

    #[test]
    fn goldens() {
        for (name, told) in notifications() {
            let message = Message::new(&told, &commands());
            let (text, html) = (text(&message), html(&message));
            assert!(html.len() < 100_000, "{name}");
            if name == "hostile" {
                assert!(
                    !html.contains("<b>x")
                        && !html.contains("javascript:")
                        && !html.contains("<!channel"),
                    "{html}"
                );
            }
            testkit::golden::check(format!("alert-router/tests/golden/mail-{name}.txt"), &text);
            testkit::golden::check(format!("alert-router/tests/golden/mail-{name}.html"), &html);
        }
    }
}
