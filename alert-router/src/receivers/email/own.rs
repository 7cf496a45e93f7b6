//! Our own mail, where users wrote none: a plain part and one of HTML.

use crate::{
    core::Status,
    receivers::{
        message::{Item, Message},
        templated::apology,
    },
};

/// The plain part, with the template of the user that failed.
pub(super) fn text(message: &Message, complaint: Option<&str>) -> String {
    let mut out = format!("{}\n", message.title);
    if let Some(complaint) = complaint {
        out.push_str(&format!("\n{}\n", apology(complaint)));
    }
    if !message.digest.is_empty() {
        out.push('\n');
    }
    for kind in &message.digest {
        out.push_str(&format!("{} x {}", kind.count, kind.head));
        if !kind.places.is_empty() {
            out.push_str(&format!(": {}", kind.places));
        }
        out.push('\n');
    }
    if message.more_kinds > 0 {
        out.push_str(&format!(
            "and {} more kinds of alerts\n",
            message.more_kinds
        ));
    }
    if let Some(url) = &message.all {
        out.push_str(&format!("All alerts: {url}\n"));
    }
    for item in &message.items {
        out.push_str(&format!("\n{}\n", item.head()));
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

fn rows(item: &Item) -> Vec<(String, String)> {
    let mut rows = item.place.clone();
    let facts = item.facts();
    rows.extend(facts.map(|(name, text)| (name.to_owned(), text.to_owned())));
    rows
}

/// The HTML part. Styles stand in the elements, for mail programs take no others.
pub(super) fn html(message: &Message, complaint: Option<&str>) -> String {
    use daemon::http::escape_html as escape;
    let color = |status, severity: &str| match (status, severity) {
        (Status::Resolved, _) => "#2eb67d",
        (Status::Firing, "info") => "#1d9bd1",
        (Status::Firing, "warning") => "#d99a00",
        (Status::Firing, _) => "#e01e5a",
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html>\n<head><meta name=\"viewport\" content=\"width=device-width\"></head>\n<body style=\"font-family:sans-serif;color:#1d1c1d;max-width:40em\">\n<h2 style=\"font-size:18px;color:{}\">{}</h2>\n",
        color(message.status, &message.severity),
        escape(&message.title)
    );
    if let Some(complaint) = complaint {
        out.push_str(&format!("<p>{}</p>\n", escape(&apology(complaint))));
    }
    if !message.digest.is_empty() {
        out.push_str("<ul style=\"padding-left:1.2em;margin:12px 0\">\n");
        for kind in &message.digest {
            let places = if kind.places.is_empty() {
                String::new()
            } else {
                format!(": {}", escape(&kind.places))
            };
            out.push_str(&format!(
                "<li>{} × <b>{}</b>{places}</li>\n",
                kind.count,
                escape(&kind.head)
            ));
        }
        out.push_str("</ul>\n");
    }
    if message.more_kinds > 0 {
        out.push_str(&format!(
            "<p>and {} more kinds of alerts</p>\n",
            message.more_kinds
        ));
    }
    if let Some(url) = &message.all {
        let url = escape(url);
        out.push_str(&format!("<p><a href=\"{url}\">All alerts</a></p>\n"));
    }
    for item in &message.items {
        out.push_str(&format!(
            "<div style=\"border-left:4px solid {};padding:4px 12px;margin:12px 0\">\n<p style=\"margin:4px 0\"><b>{}</b></p>\n",
            color(item.status, &item.severity),
            escape(&item.head())
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
        tests::{ROUTER, commands, notifications},
    };

    #[test]
    fn goldens() {
        for (name, told) in notifications() {
            let message = Message::new(&told, &commands(), ROUTER);
            let (text, html) = (text(&message, None), html(&message, None));
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
