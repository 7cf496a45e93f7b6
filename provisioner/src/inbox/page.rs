//! The pages of the inbox: messages as Slack and a mail program would show them, and runbooks.

use daemon::http::{self, Reply, StatusCode, escape_html, header};

use super::{Channel, Message, message::Attachment};

/// Nothing from elsewhere, no script but ours; styles stand in the page and in mails.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;font:15px/1.46 Lato,'Helvetica Neue',Arial,sans-serif;color:#1d1c1d;background:#f4f4f6}
header{background:#3f0e40;color:#fff;padding:14px 24px;display:flex;align-items:baseline;gap:16px}
header h1{font-size:18px;margin:0}
header span{opacity:.75;font-size:13px}
main{max-width:60em;margin:20px auto;padding:0 16px}
article{background:#fff;border:1px solid #ddd;border-radius:8px;padding:14px 18px;margin:0 0 14px}
.head{display:flex;gap:10px;align-items:baseline;margin:0 0 4px}
.head b{font-size:15px}
.head time{color:#616061;font-size:12px;margin-left:auto}
.tag{font-size:11px;padding:1px 7px;border-radius:9px;background:#eee;color:#444;text-transform:uppercase;letter-spacing:.04em}
.firing{background:#fde7ee;color:#b4124a}.resolved{background:#e3f6ee;color:#14694a}
.attachment{border-left:4px solid #ddd;padding:2px 0 2px 12px;margin:8px 0}
.fields{display:flex;flex-wrap:wrap;gap:4px 32px;margin:6px 0 0}
.fields div b{display:block;font-size:13px}
.fields div{font-size:13px}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;margin:4px 0;white-space:pre-wrap;word-break:break-all;font:12px/1.5 Monaco,Menlo,Consolas,monospace}
a{color:#1264a3}
iframe{width:100%;height:26em;border:1px solid #e5e5e5;border-radius:4px;background:#fff}
details summary{cursor:pointer;color:#616061;font-size:13px;margin-top:6px}
.empty{color:#616061;text-align:center;padding:4em 0}
.runbook{white-space:normal}
.runbook code{background:#f0f0f0;padding:0 3px;border-radius:3px}
";

const SCRIPT: &str = "\
let seen = document.body.dataset.newest;
setInterval(async () => {
  try {
    const messages = await (await fetch('/api/messages')).json();
    const newest = String(messages.length ? messages[0].id : 0);
    if (newest !== seen) { seen = newest; location.reload(); }
  } catch (error) { /* the inbox is being restarted */ }
}, 2000);
";

/// The page of all messages.
pub(super) fn inbox(messages: &[Message]) -> Reply {
    let newest = messages.first().map_or(0, |it| it.id);
    let mut body = String::new();
    for message in messages {
        body.push_str(&article(message));
    }
    if messages.is_empty() {
        body.push_str("<p class=\"empty\">Nothing has arrived yet. Try: <code>provisioner alerts test</code></p>");
    }
    page(
        "Inbox",
        &format!(" data-newest=\"{newest}\""),
        "what people would get by Slack and by mail",
        &body,
        true,
    )
}

pub(super) fn script() -> Reply {
    http::reply(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)
}

/// A runbook of those that are built in.
pub(super) fn runbook(name: &str) -> Reply {
    match dashboards::RUNBOOKS
        .iter()
        .find(|(alert, _)| *alert == name)
    {
        None => http::not_found(),
        Some((alert, text)) => {
            let body = format!("<article class=\"runbook\">{}</article>", markdown(text));
            page(alert, "", "runbook", &body, false)
        }
    }
}

fn page(title: &str, attributes: &str, subtitle: &str, body: &str, script: bool) -> Reply {
    let script = if script {
        "<script src=\"/inbox.js\" defer></script>"
    } else {
        ""
    };
    let title = escape_html(title);
    let mut reply = http::html(
        StatusCode::OK,
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style>{script}</head>\n<body{attributes}>\n<header><h1>{title}</h1><span>{subtitle}</span></header>\n<main>\n{body}</main>\n</body>\n</html>\n"
        ),
    );
    let policy = header::HeaderValue::from_static(POLICY);
    reply
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    reply
}

fn article(message: &Message) -> String {
    let channel = match message.channel {
        Channel::Slack => "Slack",
        Channel::Email => "Mail",
    };
    let status = escape_html(&message.status);
    let tag = if status.is_empty() {
        String::new()
    } else {
        format!("<span class=\"tag {status}\">{status}</span>")
    };
    let time = message
        .time
        .get(..19)
        .unwrap_or(&message.time)
        .replace('T', " ");
    let to = if message.to.is_empty() {
        String::new()
    } else {
        format!(" to {}", escape_html(&message.to.join(", ")))
    };
    let inside = match (&message.channel, &message.html) {
        (Channel::Slack, _) => message.attachments.iter().map(attachment).collect(),
        (Channel::Email, Some(html)) => format!(
            "<iframe sandbox=\"allow-popups allow-popups-to-escape-sandbox\" title=\"mail\" srcdoc=\"{}{}\"></iframe>\n<details><summary>text part</summary><pre>{}</pre></details>",
            // Links of a mail open beside the inbox, not in the frame.
            escape_html("<base target=\"_blank\">"),
            escape_html(html),
            escape_html(&message.text)
        ),
        (Channel::Email, None) => format!("<pre>{}</pre>", escape_html(&message.text)),
    };
    format!(
        "<article id=\"m{}\">\n<div class=\"head\"><span class=\"tag\">{channel}</span>{tag}<b>{}</b><time>{}{to}</time></div>\n{inside}\n</article>\n",
        message.id,
        escape_html(&message.title),
        escape_html(&time),
    )
}

fn attachment(attachment: &Attachment) -> String {
    let hex = |it: &&str| {
        it.len() == 7 && it.starts_with('#') && it.chars().skip(1).all(|it| it.is_ascii_hexdigit())
    };
    let color = Some(attachment.color.as_str())
        .filter(hex)
        .unwrap_or("#dddddd");
    let title = if attachment.title.is_empty() {
        String::new()
    } else {
        format!("<b>{}</b><br>", mrkdwn(&attachment.title))
    };
    let mut fields = String::new();
    for (name, value) in &attachment.fields {
        fields.push_str(&format!(
            "<div><b>{}</b>{}</div>",
            mrkdwn(name),
            mrkdwn(value)
        ));
    }
    format!(
        "<div class=\"attachment\" style=\"border-color:{color}\">{title}{}<div class=\"fields\">{fields}</div></div>\n",
        mrkdwn(&attachment.text)
    )
}

/// Slack's mark-up to HTML. Slack's text comes with `&`, `<` and `>` escaped; what is not is escaped here first, so that only
/// what this function writes is HTML.
fn mrkdwn(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("```").enumerate() {
        let code = index % 2 == 1;
        if code {
            out.push_str(&format!("<pre>{}</pre>", escape_html(&unescape(part))));
        } else {
            let lines: Vec<_> = part.trim_matches('\n').split('\n').map(line).collect();
            out.push_str(&lines.join("<br>\n"));
        }
    }
    out
}

/// Slack's own escapes, undone.
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn line(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(&bold(before));
        let Some((link, after)) = after.split_once('>') else {
            rest = after;
            break;
        };
        let (url, text) = link.split_once('|').unwrap_or((link, link));
        let url = unescape(url);
        if url.starts_with("http://") || url.starts_with("https://") {
            out.push_str(&format!(
                "<a href=\"{}\" rel=\"noopener noreferrer\">{}</a>",
                escape_html(&url),
                escape_html(&unescape(text))
            ));
        } else {
            // A mention, shown as what it is.
            out.push_str(&escape_html(&format!("<{link}>")));
        }
        rest = after;
    }
    out.push_str(&bold(rest));
    out
}

fn bold(text: &str) -> String {
    let parts: Vec<_> = text.split('*').collect();
    let pairs = parts.len() % 2 == 1;
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        let text = escape_html(&unescape(part));
        match (pairs, index % 2) {
            (true, 1) => out.push_str(&format!("<b>{text}</b>")),
            (true, _) => out.push_str(&text),
            (false, _) => out.push_str(&if index == 0 { text } else { format!("*{text}") }),
        }
    }
    out
}

/// As much of Markdown as runbooks use: headings, paragraphs, lists, code.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    let (mut in_code, mut in_list) = (false, false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            out.push_str(if in_code { "</pre>\n" } else { "<pre>" });
            in_code = !in_code;
            continue;
        }
        if in_code {
            out.push_str(&escape_html(line));
            out.push('\n');
            continue;
        }
        let item = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
        if in_list && item.is_none() {
            out.push_str("</ul>\n");
            in_list = false;
        }
        if let Some(item) = item {
            if !in_list {
                out.push_str("<ul>\n");
                in_list = true;
            }
            out.push_str(&format!("<li>{}</li>\n", inline(item)));
        } else if let Some(heading) = line.strip_prefix("## ") {
            out.push_str(&format!("<h3>{}</h3>\n", inline(heading)));
        } else if let Some(heading) = line.strip_prefix("# ") {
            out.push_str(&format!("<h2>{}</h2>\n", inline(heading)));
        } else if !line.trim().is_empty() {
            out.push_str(&format!("<p>{}</p>\n", inline(line)));
        }
    }
    out
}

fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        let text = escape_html(part);
        out.push_str(&if index % 2 == 1 {
            format!("<code>{text}</code>")
        } else {
            text
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{article, markdown, mrkdwn};
    use crate::inbox::Message;

    #[test]
    fn marks() {
        for (text, expect) in [
            ("a *b* c", "a <b>b</b> c"),
            ("a * b", "a * b"),
            ("&lt;b&gt; &amp;", "&lt;b&gt; &amp;"),
            (
                "<https://x/?a&amp;b|Run *it*>",
                "<a href=\"https://x/?a&amp;b\" rel=\"noopener noreferrer\">Run *it*</a>",
            ),
            ("<javascript:x|y>", "&lt;javascript:x|y&gt;"),
            ("<!channel>", "&lt;!channel&gt;"),
            (
                "a\n```do <it> &amp; *go*```",
                "a<pre>do &lt;it&gt; &amp; *go*</pre>",
            ),
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("open < only", "open  only"),
        ] {
            assert_eq!(mrkdwn(text), expect, "{text}");
        }
    }

    #[test]
    fn hostile_mail_stays_in_its_frame() {
        let mail = b"Subject: <script>x</script>\r\nContent-Type: text/html\r\n\r\n\"><script>alert(1)</script>\r\n";
        let html = article(&Message::from_mail(mail, vec!["<a@b>".to_owned()]));
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("sandbox=\"allow-popups "), "{html}");
    }

    #[test]
    fn runbooks() {
        assert_eq!(
            markdown("# A\n\ntext `x<y`\n- one\n- two\n\n```sh\na > b\n```\n"),
            "<h2>A</h2>\n<p>text <code>x&lt;y</code></p>\n<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n<pre>a &gt; b\n</pre>\n"
        );
    }
}
