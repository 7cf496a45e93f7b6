//! For somebody who has nothing but a browser: the page at `/`, what fires at the moment; and at `/silences/new`, to which messages
//! link, a silence to be made.

use daemon::http::{self, Reply, Request, StatusCode, escape_html};
use serde_json::json;

use super::Api;
use crate::{
    engine::Stopping,
    matcher::{Matcher, Operator},
};

/// Makes the silence by the API. It takes JSON alone, which no other site can have a browser send.
const SCRIPT: &str = include_str!("silence.js");
/// What looks like Alertmanager's link to this page, by which users' templates know it, is one.
const FROM_ALERTMANAGER: &str = "const it = location.hash.split('/silences/new?')[1]; if (it) location.replace(document.body.dataset.prefix + '/silences/new?' + it);";
/// How long a silence may last; two hours, as Alertmanager suggests, are chosen.
const LASTS: [(&str, u32); 7] = [
    ("30 minutes", 30),
    ("1 hour", 60),
    ("2 hours", 120),
    ("4 hours", 240),
    ("8 hours", 480),
    ("1 day", 1440),
    ("1 week", 10_080),
];
const STYLE: &str = "body{font:15px/1.5 sans-serif;margin:2em;color:#222}table{border-collapse:collapse}td,th{text-align:left;padding:.3em 1em .3em 0;border-bottom:1px solid #ddd;vertical-align:top}label{display:block;margin:.5em 0}input[type=text],select{display:block;font:inherit;width:100%;max-width:30em}button{font:inherit;padding:.4em 1.5em}code{word-break:break-all}";

/// Alerts on the page; the API gives all.
const MAX_SHOWN: usize = 500;
/// Matchers of a silence on the page.
const MAX_MATCHERS: usize = 100;

impl Api {
    pub(super) async fn page(&self, _request: &Request) -> Result<Reply, Stopping> {
        let (count, firing) = self
            .engine
            .look(|core, now| {
                let count = core.store().count(now).iter().map(|it| it.1).sum::<u64>();
                let all = core.store().after(None).map(|it| it.1);
                let firing = all.filter(|it| !it.life.resolved(now)).take(MAX_SHOWN);
                let shown = firing.map(|it| it.alert());
                (
                    usize::try_from(count).unwrap_or(usize::MAX),
                    shown.collect::<Vec<_>>(),
                )
            })
            .await?;
        let mut rows = String::new();
        for alert in &firing {
            let label = |name: &str| escape_html(alert.labels.get(name).map_or("", String::as_str));
            let summary = alert.annotations.get("summary").map_or("", String::as_str);
            rows.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape_html(alert.name()),
                label("severity"),
                label("instance"),
                alert.starts_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                escape_html(summary)
            ));
        }
        let more = count.saturating_sub(MAX_SHOWN);
        let more = if more > 0 {
            format!("<p>and {more} more</p>")
        } else {
            String::new()
        };
        let prefix = escape_html(&self.prefix);
        Ok(http::html(
            StatusCode::OK,
            format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>alert-router</title>\n\
                 <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"15\">\n\
                 <style>{STYLE}</style></head>\n\
                 <body data-prefix=\"{prefix}\">\n<h1>alert-router</h1>\n<p>{count} alerts fire. <a href=\"{prefix}/metrics\">Metrics</a> · <a href=\"{prefix}/api/v2/status\">Status</a> · <a href=\"{prefix}/silences/new\">Silence</a></p>\n\
                 <table>\n<tr><th>Alert</th><th>Severity</th><th>Instance</th><th>Since</th><th>Summary</th></tr>\n{rows}</table>\n{more}<script>{FROM_ALERTMANAGER}</script></body>\n</html>\n"
            ),
        ))
    }

    /// A silence to be made, of the matchers of `filter` that stay ticked.
    pub(super) fn silence_page(&self, request: &Request) -> Reply {
        let filters = request.query_pairs();
        let filters = filters.iter().filter(|it| it.0 == "filter");
        let (mut matchers, mut wrong) = (Vec::new(), String::new());
        for (_, text) in filters {
            match Matcher::parse_all(text) {
                Ok(some) => matchers.extend(some),
                Err(error) => {
                    wrong = format!(
                        "<p>The filter {}: {}</p>\n",
                        escape_html(text),
                        escape_html(&error.to_string())
                    );
                }
            }
        }
        if matchers.len() > MAX_MATCHERS {
            wrong = format!(
                "<p>The filter has {} matchers; there is room for {MAX_MATCHERS}</p>\n",
                matchers.len()
            );
        }
        // A part of what was asked for would silence more.
        if !wrong.is_empty() {
            matchers.clear();
        }
        let rows: String = matchers.iter().map(row).collect();
        let lasts: String = LASTS
            .iter()
            .map(|(name, minutes)| {
                let chosen = if *minutes == 120 { " selected" } else { "" };
                format!("<option value=\"{minutes}\"{chosen}>{name}</option>")
            })
            .collect();
        let form = if rows.is_empty() {
            "<form>\n<label>Which alerts? <input type=\"text\" name=\"filter\" required placeholder=\"alertname=HostDown\"></label>\n<button>Next</button>\n</form>\n".to_owned()
        } else {
            format!(
                "<p>Nobody is told of alerts that have all that is ticked. Who was told that one began hears of its end when the silence is over.</p>\n\
                 <form id=\"silence\">\n{rows}\
                 <label>For <select name=\"minutes\">{lasts}</select></label>\n\
                 <label>Who are you? <input type=\"text\" name=\"author\" required autocomplete=\"username\"></label>\n\
                 <label>Why? <input type=\"text\" name=\"comment\" required></label>\n\
                 <button>Silence</button>\n</form>\n<script>\n{SCRIPT}</script>\n"
            )
        };
        let prefix = escape_html(&self.prefix);
        http::html(
            StatusCode::OK,
            format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Silence</title>\n\
                 <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n\
                 <body data-prefix=\"{prefix}\">\n<h1>Silence</h1>\n{wrong}{form}\
                 <p id=\"said\" role=\"status\"></p>\n<p><a href=\"{prefix}/\">What fires</a></p>\n</body>\n</html>\n"
            ),
        )
    }
}

/// A matcher that can be left out.
fn row(matcher: &Matcher) -> String {
    let is_equal = matches!(matcher.operator, Operator::Equal | Operator::Regex);
    let is_regex = matches!(matcher.operator, Operator::Regex | Operator::NotRegex);
    let json = json!({
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": is_regex,
        "isEqual": is_equal,
    });
    format!(
        "<label><input type=\"checkbox\" name=\"matcher\" value=\"{}\" checked> <code>{}</code></label>\n",
        escape_html(&json.to_string()),
        escape_html(&matcher.to_string())
    )
}
