//! The heartbeat outwards (`heartbeat_url:`): while alert-router, its loop and its disk are well, somebody outside hears so at every
//! interval, and notices when it does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    engine::{Engine, Stopping},
    receivers::Caller,
};

/// How often it is looked whether a configuration has such a URL now.
const LOOK: Duration = Duration::from_secs(5);

/// Calls until the program stops. A disk that refuses writes, or a loop that does not answer, is silence.
pub(crate) async fn beat(engine: Engine, ready: Arc<AtomicBool>) {
    let caller = Caller::new();
    let mut was_well = true;
    loop {
        // The loop has answered: it is alive.
        let looked = engine.look(|core, _| Arc::clone(core.config())).await;
        let Ok(config) = looked.map_err(|Stopping| ()) else {
            return;
        };
        let Some(heartbeat) = &config.heartbeat_url else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        if ready.load(Ordering::Acquire) {
            match caller.call(heartbeat).await {
                Ok(()) => was_well = true,
                Err(error) => {
                    if was_well {
                        tracing::warn!(error, "heartbeat_url does not take the heartbeat");
                    }
                    was_well = false;
                }
            }
        }
        tokio::time::sleep(heartbeat.interval.max(Duration::from_secs(1))).await;
    }
}
