//! A notification as a mail, in the form that Alertmanager gives it, to each of its recipients once.

mod encode;
mod own;
mod smtp;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use jiff::tz::TimeZone;
use lettre::message::{Mailbox, Mailboxes};
use ring::rand::{SecureRandom, SystemRandom};

use self::{
    encode::{header, quoted_printable},
    smtp::{Conversation, Outcome},
};
use super::{
    Delivered, Failure, http,
    message::line,
    pagerduty::hash,
    templated::{Draft, Fill},
};
use crate::{
    config::{EmailSettings, Threading, addresses},
    core::{Memory, Notification, Retry},
};

/// Where in the memory of a group stands what the notification is whose recipients follow.
const TOLD: &str = "told";
/// Before a recipient who has it.
const HAS: &str = "has:";
/// Before one who is refused, with the reason.
const REFUSED: &str = "refused:";

/// A mail, and whom it is for.
#[derive(Debug)]
pub(super) struct Letter {
    /// Addresses without names.
    pub(super) to: BTreeSet<String>,
    pub(super) from: String,
    /// Recipients that are no addresses, each with the reason.
    wrong: Vec<(String, String)>,
    /// As it goes over the line, with its headers.
    pub(super) text: String,
    complaint: Option<String>,
}

/// What users wrote, or what stands in for it.
struct Written {
    headers: BTreeMap<String, String>,
    /// None for no such part.
    plain: Option<String>,
    html: Option<String>,
}

impl Letter {
    /// Fills in everything. When a header or a body fails, the message is the built-in one, to the same people.
    ///
    /// # Errors
    /// When it is not known whom the mail is for, or from.
    pub(super) fn new(settings: &EmailSettings, draft: &Draft<'_>) -> Result<Self, String> {
        let fill = draft.fill();
        let to = fill.text(&settings.to);
        let to = to.map_err(|error| format!("to: {error}"))?;
        let from = fill.text(&settings.from);
        let from = from.map_err(|error| format!("from: {error}"))?;
        let sender: Mailbox = from
            .parse()
            .map_err(|error| format!("from: {from:?}: {error}"))?;
        let (found, wrong) = recipients(&to);
        if found.is_empty() && wrong.is_empty() {
            return Err("to: the template gives no address".to_owned());
        }
        let (mut written, complaint) = match Written::new(settings, draft, &fill) {
            Ok(written) => (written, None),
            Err(error) => (Written::built_in(draft, Some(&error)), Some(error)),
        };
        let absent = |it: &mut Written, name: &str, value: String| {
            it.headers.entry(name.to_owned()).or_insert(value);
        };
        absent(&mut written, "To", to);
        absent(&mut written, "From", from);
        Ok(Self {
            to: found,
            from: sender.email.to_string(),
            wrong,
            text: written.mail(settings, draft)?,
            complaint,
        })
    }
}

impl Written {
    fn new(settings: &EmailSettings, draft: &Draft<'_>, fill: &Fill<'_>) -> Result<Self, String> {
        let headers = settings.headers.iter();
        let headers = headers.map(|(name, value)| Ok((name.clone(), fill.text(value)?)));
        let headers = headers.collect::<Result<BTreeMap<_, _>, String>>()?;
        let is_users = settings.html.is_some()
            || settings.text.is_some()
            || draft.config.templates.has_own("email.default.");
        if !is_users {
            let mut written = Self::built_in(draft, None);
            written.headers.extend(headers);
            return Ok(written);
        }
        let html = settings.html.as_deref();
        let html = html.unwrap_or("{{ template \"email.default.html\" . }}");
        let plain = settings.text.as_deref().unwrap_or("");
        // A template that gives nothing is an empty part all the same.
        let given = |it: &&str| !it.is_empty();
        let html = Some(html).filter(given).map(|it| fill.html(it));
        let plain = Some(plain).filter(given).map(|it| fill.text(it));
        let mut written = Self {
            headers,
            plain: plain.transpose()?,
            html: html.transpose()?,
        };
        if !written.headers.contains_key("Subject") {
            let subject = fill.text("{{ template \"email.default.subject\" . }}")?;
            written.headers.insert("Subject".to_owned(), subject);
        }
        Ok(written)
    }

    fn built_in(draft: &Draft<'_>, complaint: Option<&str>) -> Self {
        let message = draft.message();
        Self {
            headers: [("Subject".to_owned(), message.title.clone())].into(),
            plain: Some(own::text(&message, complaint)),
            html: Some(own::html(&message, complaint)),
        }
    }

    /// The whole mail.
    fn mail(&self, settings: &EmailSettings, draft: &Draft<'_>) -> Result<String, String> {
        let mut out = String::new();
        for (name, value) in &self.headers {
            let good = |it: u8| it.is_ascii_graphic() && it != b':';
            if name.is_empty() || !name.bytes().all(good) {
                return Err(format!("headers: {name:?} is no name of a header"));
            }
            out.push_str(&format!("{name}: {}\r\n", header(value)));
        }
        if !self.headers.contains_key("Message-Id") {
            let number = u64::from_be_bytes(random()?);
            let host = hostname();
            let time = draft.now.as_nanosecond();
            out.push_str(&format!("Message-Id: <{time}.{number}@{host}>\r\n"));
        }
        let now = draft.now.to_zoned(TimeZone::system());
        if let Some(threading) = settings.threading {
            let day = match threading {
                Threading::None => String::new(),
                Threading::Daily => now.strftime("%Y-%m-%d").to_string(),
            };
            let group: String = hash(&draft.told.group_key).chars().take(16).collect();
            // No mail has this name; programs that show threads make a place for it.
            let root = format!("<alert-{group}-{day}@alertmanager>");
            out.push_str(&format!("References: {root}\r\nIn-Reply-To: {root}\r\n"));
        }
        let boundary: String = random::<30>()?
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        let date = now.strftime("%a, %d %b %Y %H:%M:%S %z");
        out.push_str(&format!("Date: {date}\r\n"));
        out.push_str(&format!(
            "Content-Type: multipart/alternative;  boundary={boundary}\r\nMIME-Version: 1.0\r\n\r\n"
        ));
        // What is preferred stands last (RFC 2046, 5.1.4).
        let mut before = "";
        for (kind, part) in [("text/plain", &self.plain), ("text/html", &self.html)] {
            let Some(part) = part else {
                continue;
            };
            out.push_str(&format!(
                "{before}--{boundary}\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: {kind}; charset=UTF-8\r\n\r\n"
            ));
            out.push_str(&quoted_printable(part));
            before = "\r\n";
        }
        out.push_str(&format!("\r\n--{boundary}--\r\n"));
        Ok(out)
    }
}

/// Both parts of a mail that is ours.
#[cfg(test)]
pub(super) fn own(message: &super::message::Message) -> (String, String) {
    (own::text(message, None), own::html(message, None))
}

/// Whom a list names, and what in it is no address.
fn recipients(list: &str) -> (BTreeSet<String>, Vec<(String, String)>) {
    // Names may have commas in them, in quotes.
    if let Ok(all) = list.parse::<Mailboxes>() {
        let all = all.into_iter().map(|it| it.email.to_string());
        return (all.collect(), Vec::new());
    }
    let (mut found, mut wrong) = (BTreeSet::new(), Vec::new());
    for text in addresses(list) {
        match text.parse::<Mailbox>() {
            Ok(mailbox) => drop(found.insert(mailbox.email.to_string())),
            Err(error) => wrong.push((line(text, 200), error.to_string())),
        }
    }
    (found, wrong)
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_error| "the system gives no random numbers".to_owned())?;
    Ok(bytes)
}

fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost.localdomain".to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether the settings can work: the files of `tls_config` are read.
pub(super) fn check(settings: &EmailSettings) -> Result<(), String> {
    let tls = http::pem(&settings.tls)?;
    let made = client::tls(&tls).map(drop);
    made.map_err(|error| format!("tls_config: {}", daemon::chain(&error)))
}

/// Sends a mail to all who have not got it. One whom the server refuses keeps nobody else from it, and nobody gets it twice: who has
/// it is remembered until everybody has.
pub(super) async fn send(
    settings: &EmailSettings,
    letter: Letter,
    told: &Notification,
) -> Result<Delivered, Failure> {
    let mut round = Round::new(&letter, told);
    let waiting = round.waiting(&letter);
    let failure = if waiting.is_empty() {
        None
    } else {
        round.deliver(settings, &letter, waiting).await.err()
    };
    for (to, reason) in &round.news {
        tracing::error!(
            receiver = told.integration.receiver,
            to,
            error = reason,
            "the mail server refuses a recipient"
        );
    }
    if let Some(failure) = failure {
        return Err(Failure {
            memory: round.memory(),
            ..failure
        });
    }
    let refused = round.refused.iter();
    let refused: Vec<_> = refused
        .map(|(to, reason)| format!("{to}: {reason}"))
        .collect();
    if round.has.is_empty() {
        return Err(Failure {
            reason: "clientError",
            ..Failure::last(refused.join("; "))
        });
    }
    Ok(Delivered {
        refused,
        complaint: letter.complaint,
        memory: Memory::new(),
    })
}

/// How far a mail has come.
struct Round {
    /// What is told; a mail that tells something else is another mail.
    told: String,
    has: BTreeSet<String>,
    refused: BTreeMap<String, String>,
    /// Who was refused this time.
    news: Vec<(String, String)>,
}

impl Round {
    fn new(letter: &Letter, told: &Notification) -> Self {
        let alerts = told.alerts.iter().map(|(fingerprint, alert, status)| {
            format!("{fingerprint}{}{}", status.as_str(), alert.starts_at)
        });
        let alerts: Vec<_> = alerts.collect();
        let mut round = Self {
            told: hash(&alerts.join(",")),
            has: BTreeSet::new(),
            refused: BTreeMap::new(),
            news: Vec::new(),
        };
        if told.memory.get(TOLD) == Some(&round.told) {
            for (name, value) in &told.memory {
                if let Some(to) = name.strip_prefix(HAS) {
                    round.has.insert(to.to_owned());
                } else if let Some(to) = name.strip_prefix(REFUSED) {
                    round.refused.insert(to.to_owned(), value.clone());
                }
            }
        }
        for (to, reason) in &letter.wrong {
            round.refuse(to, reason);
        }
        round
    }

    fn waiting(&self, letter: &Letter) -> Vec<String> {
        let done = |it: &&String| self.has.contains(*it) || self.refused.contains_key(*it);
        letter.to.iter().filter(|it| !done(it)).cloned().collect()
    }

    fn refuse(&mut self, to: &str, reason: &str) {
        if self
            .refused
            .insert(to.to_owned(), reason.to_owned())
            .is_none()
        {
            self.news.push((to.to_owned(), reason.to_owned()));
        }
    }

    fn memory(&self) -> Memory {
        let told = [(TOLD.to_owned(), self.told.clone())];
        let has = self.has.iter();
        let has = has.map(|it| (format!("{HAS}{it}"), String::new()));
        let refused = self.refused.iter();
        let refused = refused.map(|(to, reason)| (format!("{REFUSED}{to}"), reason.clone()));
        told.into_iter().chain(has).chain(refused).collect()
    }

    /// Over one connection: to all at once, as long as the server takes it so.
    async fn deliver(
        &mut self,
        settings: &EmailSettings,
        letter: &Letter,
        mut waiting: Vec<String>,
    ) -> Result<(), Failure> {
        let mut conversation = Conversation::begin(settings).await?;
        let mut later = Vec::new();
        while !waiting.is_empty() {
            let sent = conversation
                .mail(&letter.from, &waiting, &letter.text)
                .await;
            let outcomes = sent?;
            let has = self.has.len();
            let mut again = Vec::new();
            for (to, outcome) in outcomes {
                match outcome {
                    Outcome::Taken => drop(self.has.insert(to)),
                    Outcome::Refused(reason) => self.refuse(&to, &reason),
                    Outcome::TooMany(reason) => again.push((to, reason)),
                    Outcome::Later(reason) => later.push((to, reason)),
                    // Perhaps it is because of one of them only.
                    Outcome::RefusedTogether => {
                        let one = std::slice::from_ref(&to);
                        let sent = conversation.mail(&letter.from, one, &letter.text).await;
                        for (to, outcome) in sent? {
                            match outcome {
                                Outcome::Taken => drop(self.has.insert(to)),
                                Outcome::Refused(reason) => self.refuse(&to, &reason),
                                Outcome::RefusedTogether => {
                                    self.refuse(&to, "the server refuses the mail");
                                }
                                Outcome::TooMany(reason) | Outcome::Later(reason) => {
                                    later.push((to, reason));
                                }
                            }
                        }
                    }
                }
            }
            // A server that took some may take the rest with the next mail.
            if self.has.len() == has {
                later.append(&mut again);
            }
            waiting = again.into_iter().map(|it| it.0).collect();
        }
        conversation.end().await;
        if later.is_empty() {
            return Ok(());
        }
        let later = later
            .into_iter()
            .map(|(to, reason)| format!("{to}: {reason}"));
        Err(Failure {
            retry: Retry::Backoff,
            ..Failure::again(later.collect::<Vec<_>>().join("; "))
        })
    }
}
