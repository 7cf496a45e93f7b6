//! alert-router's configuration, made of config.json's keys about Slack, mail, the pager and the heartbeat.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use daemon::Secret;
use dashboards::Threshold;

use crate::config::Config;

/// A host that is down is enough to know: what runs on it cannot answer.
const INHIBITION: &str = "inhibit_rules:\n- source_matchers: [alertname=HostDown]\n  target_matchers: ['alertname!=\"HostDown\"']\n  equal: [cluster, instance]\n";

/// How people are told.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    pub(crate) slack: Option<Secret>,
    pub(crate) mail: Option<Mail>,
    /// Woken by what is critical; told everything when there is no other way.
    pub(crate) pagerduty: Option<Secret>,
    pub(crate) heartbeat: Option<Secret>,
}

/// Mail to people.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) smarthost: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) login: Option<(String, Secret)>,
    pub(crate) require_tls: bool,
}

/// When people are told, in Prometheus' words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) wait: &'static str,
    pub(crate) interval: &'static str,
    /// How many groups within how long become one message.
    pub(crate) digest: Option<(u32, &'static str)>,
}

impl Ways {
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            slack: config.secret("slack_webhook_url").cloned(),
            mail: Mail::of(config)?,
            pagerduty: config.secret("pagerduty_routing_key").cloned(),
            heartbeat: config.secret("heartbeat_url").cloned(),
        })
    }
}

impl Mail {
    fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(smarthost) = config.text("smtp_smarthost") else {
            return Ok(None);
        };
        let needed = |key: &str| {
            let value = config.text(key).map(str::to_owned);
            value.with_context(|| format!("config.json has smtp_smarthost, so it needs {key} too"))
        };
        let password = config.secret("smtp_auth_password").cloned();
        let require_tls = match config.text("smtp_require_tls") {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => bail!("config.json: smtp_require_tls is neither true nor false"),
        };
        Ok(Some(Self {
            smarthost: smarthost.to_owned(),
            from: needed("smtp_from")?,
            to: needed("alert_email")?,
            login: config
                .text("smtp_auth_username")
                .map(str::to_owned)
                .zip(password),
            require_tls,
        }))
    }
}

/// When alerts fire: as in the file that is built in, but for what config.json says.
pub(crate) fn thresholds(config: &Config) -> anyhow::Result<BTreeMap<String, Threshold>> {
    let mut thresholds = dashboards::thresholds();
    for (name, values) in config.named("alerts") {
        let threshold = thresholds.get_mut(name).with_context(|| {
            format!(
                "config.json: alerts.{name}: there is no such alert; docs/5-monitoring.md has all"
            )
        })?;
        if let Some(lasts) = values.text("for") {
            lasts.clone_into(&mut threshold.r#for);
        }
        if let Some(text) = values.text("threshold") {
            if threshold.threshold.is_none() {
                bail!("config.json: alerts.{name}.threshold: this alert has none, only `for`");
            }
            let number = text.parse();
            threshold.threshold = Some(number.with_context(|| {
                format!("config.json: alerts.{name}.threshold: {text:?} is no number")
            })?);
        }
    }
    Ok(thresholds)
}

/// The file. `author` is the command that writes it, `repairs` are repair commands by their names.
pub(crate) fn configuration(
    author: &str,
    ways: &Ways,
    pace: Pace,
    repairs: &[(&str, String)],
) -> String {
    let mut text = format!("# Written by `{author}`; changes are lost.\n");
    let mut global = String::new();
    let mut team = String::new();
    if let Some(url) = &ways.slack {
        global.push_str(&format!("  slack_api_url: {}\n", quoted(url.expose())));
        team.push_str("  slack_configs:\n  - send_resolved: true\n");
    }
    if let Some(mail) = &ways.mail {
        global.push_str(&mail.global());
        team.push_str(&format!(
            "  email_configs:\n  - to: {}\n    send_resolved: true\n",
            quoted(&mail.to)
        ));
    }
    let pager = ways.pagerduty.as_ref().map(|key| {
        format!(
            "  pagerduty_configs:\n  - routing_key: {}\n    send_resolved: true\n",
            quoted(key.expose())
        )
    });
    // A pager that is the only way is the team's.
    let (team, pager) = match pager {
        Some(pager) if team.is_empty() => (pager, None),
        pager => (team, pager),
    };
    if !global.is_empty() {
        text.push_str(&format!("global:\n{global}"));
    }
    text.push_str(&format!(
        "route:\n  receiver: team\n  group_by: [alertname, instance]\n  group_wait: {}\n  group_interval: {}\n  repeat_interval: 4h\n",
        pace.wait, pace.interval
    ));
    if let Some((groups, window)) = pace.digest {
        text.push_str(&format!(
            "  digest: {{groups: {groups}, window: {window}}}\n"
        ));
    }
    // It always fires: what is told is that it does not.
    text.push_str("  routes:\n  - receiver: nobody\n    matchers: [alertname=Watchdog]\n");
    if pager.is_some() {
        text.push_str("  - receiver: pager\n    matchers: ['severity=\"critical\"']\n    continue: true\n  - receiver: team\n");
    }
    text.push_str(&format!("receivers:\n- name: nobody\n- name: team\n{team}"));
    let told = if pager.is_some() { "pager" } else { "team" };
    if let Some(pager) = pager {
        text.push_str(&format!("- name: pager\n{pager}"));
    }
    text.push_str(INHIBITION);
    text.push_str(&format!(
        "heartbeats:\n- matchers: [alertname=Watchdog]\n  timeout: 5m\n  receiver: {told}\n"
    ));
    if let Some(url) = &ways.heartbeat {
        text.push_str(&format!("heartbeat_url: {}\n", quoted(url.expose())));
    }
    if !repairs.is_empty() {
        text.push_str("repair_commands:\n");
        for (name, line) in repairs {
            text.push_str(&format!("  {name}: {}\n", quoted(line)));
        }
    }
    text
}

impl Mail {
    fn global(&self) -> String {
        let mut text = format!(
            "  smtp_smarthost: {}\n  smtp_from: {}\n",
            quoted(&self.smarthost),
            quoted(&self.from)
        );
        if let Some((user, password)) = &self.login {
            text.push_str(&format!(
                "  smtp_auth_username: {}\n  smtp_auth_password: {}\n",
                quoted(user),
                quoted(password.expose())
            ));
        }
        if !self.require_tls {
            text.push_str("  smtp_require_tls: false\n");
        }
        text
    }
}

/// A text as YAML takes it in double quotes: JSON's form is one of those.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use daemon::Secret;

    use super::{Mail, Pace, Ways, configuration};

    const PACE: Pace = Pace {
        wait: "5s",
        interval: "10s",
        digest: Some((10, "1m")),
    };
    const BEGIN: &str = "# Written by `x`; changes are lost.\n";
    const ROUTE: &str = "route:\n  receiver: team\n  group_by: [alertname, instance]\n  group_wait: 5s\n  group_interval: 10s\n  repeat_interval: 4h\n  digest: {groups: 10, window: 1m}\n  routes:\n  - receiver: nobody\n    matchers: [alertname=Watchdog]\n";

    const HEARTBEATS: &str = "inhibit_rules:\n- source_matchers: [alertname=HostDown]\n  target_matchers: ['alertname!=\"HostDown\"']\n  equal: [cluster, instance]\nheartbeats:\n- matchers: [alertname=Watchdog]\n  timeout: 5m\n  receiver: ";

    #[expect(clippy::needless_pass_by_value, reason = "each is made for its case")]
    fn check(ways: Ways, expect: &str) {
        let text = configuration("x", &ways, PACE, &[]);
        let text = text
            .strip_prefix(BEGIN)
            .unwrap()
            .replace(ROUTE, "ROUTE\n")
            .replace(HEARTBEATS, "HEARTBEATS ");
        assert_eq!(text, expect);
    }

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text.to_owned()))
    }

    #[test]
    fn ways() {
        check(
            Ways::default(),
            "ROUTE\nreceivers:\n- name: nobody\n- name: team\nHEARTBEATS team\n",
        );
        check(
            Ways {
                pagerduty: secret("key"),
                ..Ways::default()
            },
            "ROUTE\nreceivers:\n- name: nobody\n- name: team\n  pagerduty_configs:\n  - routing_key: \"key\"\n    send_resolved: true\nHEARTBEATS team\n",
        );
        check(
            Ways {
                slack: secret("https://s"),
                mail: Some(Mail {
                    smarthost: "m:25".to_owned(),
                    from: "a@b".to_owned(),
                    to: "c@d".to_owned(),
                    login: Some(("u".to_owned(), Secret::new("\"p".to_owned()))),
                    require_tls: false,
                }),
                pagerduty: secret("key"),
                heartbeat: secret("https://h"),
            },
            r#"global:
  slack_api_url: "https://s"
  smtp_smarthost: "m:25"
  smtp_from: "a@b"
  smtp_auth_username: "u"
  smtp_auth_password: "\"p"
  smtp_require_tls: false
ROUTE
  - receiver: pager
    matchers: ['severity="critical"']
    continue: true
  - receiver: team
receivers:
- name: nobody
- name: team
  slack_configs:
  - send_resolved: true
  email_configs:
  - to: "c@d"
    send_resolved: true
- name: pager
  pagerduty_configs:
  - routing_key: "key"
    send_resolved: true
HEARTBEATS pager
heartbeat_url: "https://h"
"#,
        );
    }
}
