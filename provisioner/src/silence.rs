//! Silence for a node while it is taken down on purpose. It is lifted afterwards, and ends by itself when nobody does.

use std::time::Duration;

use anyhow::Context as _;
use client::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    lock,
    network::Network,
    remote::Remotes,
    roles::{self, Materials},
    tunnel::Tunnel,
};

/// Longer than what it is for takes.
const LASTS: Duration = Duration::from_secs(1800);
pub(crate) const SILENCES: &str = "/api/v2/silences";

/// One that was set.
#[derive(Debug)]
pub(crate) struct Silence {
    id: String,
}

impl Silence {
    /// Silences all alerts about a node. None where no alert-router is.
    pub(crate) async fn set(
        place: Place<'_>,
        node: &str,
        why: &str,
    ) -> anyhow::Result<Option<Self>> {
        let Some(router) = place.router().await? else {
            return Ok(None);
        };
        let now = Timestamp::now();
        let silence = json!({
            "matchers": [{"name": "instance", "value": node, "isRegex": false, "isEqual": true}],
            "startsAt": now.to_string(),
            "endsAt": now.saturating_add(LASTS)?.to_string(),
            "createdBy": lock::who(),
            "comment": why,
        });
        let answer = router.ask(Method::POST, Some(SILENCES), Some(&silence));
        let answer = answer.await.context("alert-router takes no silence")?;
        let id = answer.get("silenceID").and_then(Value::as_str);
        let id = id.context("alert-router names no silence")?.to_owned();
        Ok(Some(Self { id }))
    }

    /// Ends it.
    pub(crate) async fn lift(self, place: Place<'_>) -> anyhow::Result<()> {
        // The connection that it was set over may have ended meanwhile.
        let router = place.router().await?.context("alert-router is gone")?;
        let path = format!("/api/v2/silence/{}", self.id);
        let answer = router.ask(Method::DELETE, Some(&path), None);
        answer
            .await
            .context("alert-router does not lift the silence")?;
        Ok(())
    }
}

/// Where it is set.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) network: &'a Network,
    pub(crate) remotes: &'a Remotes,
    pub(crate) materials: &'a Materials,
}

impl Place<'_> {
    async fn router(self) -> anyhow::Result<Option<Tunnel>> {
        roles::alert_router(self.network, self.remotes, self.materials).await
    }
}
