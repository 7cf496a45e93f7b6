//! `POST /api/ext/v1/test-receiver?receiver=`: sends a test through every integration of a receiver, and says what came of each.

use std::time::Duration;

use daemon::http::{Reply, Request, StatusCode};

use super::{Api, error, to_json};
use crate::{cli::test_receiver, engine::Stopping};

/// For one integration; shorter than `alert-router test-receiver` waits for the answer.
const PATIENCE: Duration = Duration::from_secs(25);

impl Api {
    pub(super) async fn test_receiver(&self, request: &Request) -> Result<Reply, Stopping> {
        let pairs = request.query_pairs();
        let name = pairs.iter().find(|(name, _)| name == "receiver");
        let Some((_, name)) = name else {
            return Ok(error(
                StatusCode::BAD_REQUEST,
                "name the receiver: ?receiver=NAME",
            ));
        };
        let Ok(_permit) = self.bounds.tests.try_acquire() else {
            return Ok(error(
                StatusCode::TOO_MANY_REQUESTS,
                "a receiver is being tested; try again when that is done",
            ));
        };
        let senders = self.engine.senders().await?;
        let receiver = match test_receiver::find(senders.config(), name) {
            Ok(receiver) => receiver,
            Err(reason) => return Ok(error(StatusCode::NOT_FOUND, &reason)),
        };
        let now = jiff::Timestamp::now();
        let outcomes = test_receiver::try_all(&senders, receiver, PATIENCE, now).await;
        tracing::info!(receiver = name.as_str(), "tested a receiver");
        Ok(to_json(StatusCode::OK, &outcomes))
    }
}
