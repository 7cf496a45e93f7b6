//! What integrations take from `global`, and what one must have after that.

use std::path::Path;

use crate::config::{
    http::joined,
    section::{Record, Value, or},
    yaml::Mistake,
};

/// Fills in a receiver's integrations.
pub(in crate::config) fn inherit(
    receiver: &mut Record,
    global: &mut Record,
    folder: &Path,
) -> Result<(), Mistake> {
    let name = receiver.text("name").to_owned();
    each(receiver, global, folder).map_err(|mistake| Mistake {
        reason: format!("receiver {name:?}: {}", mistake.reason),
        ..mistake
    })
}

fn each(receiver: &mut Record, global: &mut Record, folder: &Path) -> Result<(), Mistake> {
    for it in receiver.records_mut("webhook_configs") {
        take_http(it, global);
    }
    for it in receiver.records_mut("email_configs") {
        email(it, global)?;
    }
    for it in receiver.records_mut("slack_configs") {
        slack(it, global, folder)?;
    }
    for it in receiver.records_mut("pagerduty_configs") {
        take_http(it, global);
        take(it, "url", global, "pagerduty_url");
        needs(it, &["url"], "pagerduty_url")?;
    }
    for key in [
        "pushover_configs",
        "incidentio_configs",
        "sns_configs",
        "discord_configs",
        "msteams_configs",
    ] {
        for it in receiver.records_mut(key) {
            take_http(it, global);
        }
    }
    for it in receiver.records_mut("opsgenie_configs") {
        take_http(it, global);
        take_folder(it, global, "opsgenie_api_url")?;
        take(it, "api_key", global, "opsgenie_api_key");
        take(it, "api_key_file", global, "opsgenie_api_key_file");
        needs(it, &["api_key", "api_key_file"], "opsgenie_api_key")?;
    }
    for it in receiver.records_mut("wechat_configs") {
        take_http(it, global);
        take_pair(it, "api_secret", global, "wechat_api_secret");
        needs(it, &["api_secret", "api_secret_file"], "wechat_api_secret")?;
        take(it, "corp_id", global, "wechat_api_corp_id");
        needs(it, &["corp_id"], "wechat_api_corp_id")?;
        take_folder(it, global, "wechat_api_url")?;
    }
    for it in receiver.records_mut("victorops_configs") {
        take_http(it, global);
        take_folder(it, global, "victorops_api_url")?;
        take(it, "api_key", global, "victorops_api_key");
        take(it, "api_key_file", global, "victorops_api_key_file");
        needs(it, &["api_key", "api_key_file"], "victorops_api_key")?;
    }
    for it in receiver.records_mut("telegram_configs") {
        take_http(it, global);
        take(it, "api_url", global, "telegram_api_url");
        take_pair(it, "bot_token", global, "telegram_bot_token");
        needs(it, &["bot_token", "bot_token_file"], "telegram_bot_token")?;
    }
    for it in receiver.records_mut("webex_configs") {
        take(it, "api_url", global, "webex_api_url");
        needs(it, &["api_url"], "webex_api_url")?;
    }
    for it in receiver.records_mut("msteamsv2_configs") {
        let has_proxy = |it: &Record| matches!(it.get("proxy_url"), Value::Secret(_));
        if let Some(http) = it.record_mut("http_config") {
            // Of the proxy alone the global one is asked for here.
            if !has_proxy(http) {
                let proxy = global.record("http_config").map(|it| it.get("proxy_url"));
                http.set("proxy_url", proxy.cloned().unwrap_or_default());
            }
        } else {
            take_http(it, global);
        }
    }
    for it in receiver.records_mut("jira_configs") {
        take_http(it, global);
        take(it, "api_url", global, "jira_api_url");
        needs(it, &["api_url"], "jira_api_url")?;
    }
    for it in receiver.records_mut("rocketchat_configs") {
        take_http(it, global);
        take(it, "api_url", global, "rocketchat_api_url");
        for key in ["token_id", "token"] {
            let file = format!("{key}_file");
            take(it, key, global, &format!("rocketchat_{key}"));
            take(it, &file, global, &format!("rocketchat_{key}_file"));
            needs(it, &[key, &file], &format!("rocketchat_{key}"))?;
        }
    }
    for it in receiver.records_mut("mattermost_configs") {
        take_http(it, global);
        take_pair(it, "webhook_url", global, "mattermost_webhook_url");
        needs(
            it,
            &["webhook_url", "webhook_url_file"],
            "mattermost_webhook_url",
        )?;
    }
    Ok(())
}

fn email(it: &mut Record, global: &Record) -> Result<(), Mistake> {
    take(it, "tls_config", global, "smtp_tls_config");
    take(it, "smarthost", global, "smtp_smarthost");
    needs(it, &["smarthost"], "smtp_smarthost")?;
    take(it, "from", global, "smtp_from");
    needs(it, &["from"], "smtp_from")?;
    take(it, "hello", global, "smtp_hello");
    take(it, "auth_username", global, "smtp_auth_username");
    take_pair(it, "auth_password", global, "smtp_auth_password");
    take(it, "auth_secret", global, "smtp_auth_secret");
    take(it, "auth_secret_file", global, "smtp_auth_secret_file");
    take(it, "auth_identity", global, "smtp_auth_identity");
    if it.maybe_flag("require_tls").is_none() {
        it.set("require_tls", Value::Bool(global.flag("smtp_require_tls")));
    }
    take(it, "force_implicit_tls", global, "smtp_force_implicit_tls");
    Ok(())
}

fn slack(it: &mut Record, global: &Record, folder: &Path) -> Result<(), Mistake> {
    take(it, "app_url", global, "slack_app_url");
    needs(it, &["app_url"], "slack_app_url")?;
    let authorized = |it: &Record| {
        it.record("http_config")
            .is_some_and(|it| it.has("authorization"))
    };
    let has_token = |it: &Record| it.has("app_token") || it.has("app_token_file");
    if !authorized(it) && !it.has("api_url") {
        take_pair(it, "app_token", global, "slack_app_token");
    }
    take_pair(it, "api_url", global, "slack_api_url");
    if !has_token(it) {
        needs(
            it,
            &["api_url", "api_url_file", "app_token", "app_token_file"],
            "slack_api_url",
        )?;
    }
    take_http(it, global);
    if has_token(it) {
        if authorized(it) {
            let reason =
                "slack_configs: app_token and http_config.authorization exclude each other";
            return Err(it.wrong("app_token", reason));
        }
        let (token, file) = (
            it.get("app_token").clone(),
            it.text("app_token_file").to_owned(),
        );
        let url = daemon::Secret::new(it.text("app_url").to_owned());
        it.set("api_url", Value::Secret(url));
        if let Some(http) = it.record_mut("http_config") {
            let mut authorization = Record::new(http.section_of("authorization"));
            authorization.set("type", Value::Text("Bearer".to_owned()));
            authorization.set("credentials", token);
            authorization.set("credentials_file", Value::Text(joined(folder, &file)));
            http.set("authorization", Value::Record(authorization));
        }
    }
    if it.flag("update_message") && !has_token(it) {
        let url = it.secret("api_url");
        if url.is_none_or(|it| it.expose() != UPDATING && it.expose() != "<secret>") {
            let reason = format!(
                "slack_configs.update_message needs an app's token, in app_token, or in http_config with {UPDATING} as api_url: a webhook cannot change what it sent"
            );
            return Err(it.wrong("update_message", reason));
        }
    }
    Ok(())
}

/// The only address at which Alertmanager changes messages.
const UPDATING: &str = "https://slack.com/api/chat.postMessage";

fn take_http(it: &mut Record, global: &Record) {
    take(it, "http_config", global, "http_config");
}

/// A key that is empty here has the value of another there.
fn take(it: &mut Record, key: &str, global: &Record, other: &str) {
    if !it.has(key) {
        it.set(key, global.get(other).clone());
    }
}

/// A key and its file, when neither is there.
fn take_pair(it: &mut Record, key: &str, global: &Record, other: &str) {
    let file = format!("{key}_file");
    if !it.has(key) && !it.has(&file) {
        take(it, key, global, other);
        take(it, &file, global, &format!("{other}_file"));
    }
}

/// A URL whose path ends with a slash. Of the global one it is made so where it stands, as Alertmanager does.
fn take_folder(it: &mut Record, global: &mut Record, other: &str) -> Result<(), Mistake> {
    let own = it.has("api_url");
    take(it, "api_url", global, other);
    needs(it, &["api_url"], other)?;
    let text = it.text("api_url");
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    if !path.ends_with('/') {
        let text = format!("{path}/{rest}");
        if !own {
            global.set(other, Value::Text(text.clone()));
        }
        it.set("api_url", Value::Text(text));
    }
    Ok(())
}

fn needs(it: &Record, keys: &[&str], other: &str) -> Result<(), Mistake> {
    if keys.iter().any(|key| it.has(key)) {
        return Ok(());
    }
    let reason = format!("{} needs {}, or global.{other}", it.section.name, or(keys));
    Err(it.wrong(keys.first().copied().unwrap_or(""), reason))
}
