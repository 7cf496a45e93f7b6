//! Routers that answer HTTP, for who passes Traefik's own metrics: those of the last scrape, or asked for before there was one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{RAWDATA, show};
use crate::{
    api::{Api, ApiError, rawdata},
    passthrough::Known,
};

/// What the status shares.
pub(crate) struct Routers {
    api: Arc<Api>,
    max_objects: usize,
    found: Arc<Mutex<Option<Known>>>,
    /// Held by the one that asks: several at a time would cost Traefik and us as much as there are of them.
    turn: tokio::sync::Mutex<()>,
}

impl Routers {
    pub(super) fn new(api: Arc<Api>, max_objects: usize, found: Arc<Mutex<Option<Known>>>) -> Self {
        Self {
            api,
            max_objects,
            found,
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Empty when they cannot be had in time. What is asked for here is not kept, as only scrapes of the status would renew it.
    pub(crate) async fn known(&self, deadline: Instant) -> Known {
        if let Some(found) = self.found() {
            return found;
        }
        match tokio::time::timeout_at(deadline.into(), self.ask(deadline)).await {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => {
                let error = daemon::chain(&error).to_string();
                tracing::debug!(error, "routers that nobody has asked yet are not known");
                Known::default()
            }
            Err(_late) => Known::default(),
        }
    }

    fn found(&self) -> Option<Known> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    async fn ask(&self, deadline: Instant) -> Result<Known, ApiError> {
        let _turn = self.turn.lock().await;
        let answer = self.api.session(deadline)?.get(RAWDATA).await?;
        let data = rawdata::read(&answer, self.max_objects);
        let data = data.map_err(|source| ApiError::Answer {
            path: RAWDATA,
            source,
        })?;
        Ok(Arc::new(show::routers(&data)))
    }
}
