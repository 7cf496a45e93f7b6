//! The page at `/`: what fires at the moment, for somebody who has nothing but a browser.

use daemon::http::{self, Reply, Request, StatusCode, escape_html};

use super::Api;
use crate::engine::Stopping;

/// Alerts on the page; the API gives all.
const MAX_SHOWN: usize = 500;

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
                 <style>body{{font:15px/1.5 sans-serif;margin:2em;color:#222}}table{{border-collapse:collapse}}td,th{{text-align:left;padding:.3em 1em .3em 0;border-bottom:1px solid #ddd;vertical-align:top}}</style></head>\n\
                 <body>\n<h1>alert-router</h1>\n<p>{count} alerts fire. <a href=\"{prefix}/metrics\">Metrics</a> · <a href=\"{prefix}/api/v2/status\">Status</a></p>\n\
                 <table>\n<tr><th>Alert</th><th>Severity</th><th>Instance</th><th>Since</th><th>Summary</th></tr>\n{rows}</table>\n{more}</body>\n</html>\n"
            ),
        ))
    }
}
