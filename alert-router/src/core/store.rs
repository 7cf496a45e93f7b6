//! The alerts that are held, each once.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::alert::{Alert, AlertError, Fingerprint};

/// More than any network of ours fires at once; some 200 MB.
const MAX_ALERTS: usize = 200_000;

#[derive(Debug, Default)]
pub(super) struct Store {
    alerts: BTreeMap<Fingerprint, Alert>,
}

impl Store {
    /// Takes an alert, merged with what is known of it, and gives it back as it is held.
    pub(super) fn put(&mut self, alert: Alert) -> Result<Alert, AlertError> {
        let fingerprint = alert.fingerprint();
        let alert = match self.alerts.get(&fingerprint) {
            Some(known) => known.merged(alert),
            None if self.alerts.len() >= MAX_ALERTS => return Err(AlertError::Full(MAX_ALERTS)),
            None => alert,
        };
        self.alerts.insert(fingerprint, alert.clone());
        Ok(alert)
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<&Alert> {
        self.alerts.get(&fingerprint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Alert)> {
        self.alerts
            .iter()
            .map(|(fingerprint, alert)| (*fingerprint, alert))
    }

    /// Lets go of an alert that is over, and gives it.
    pub(super) fn drop_resolved(
        &mut self,
        fingerprint: Fingerprint,
        now: Timestamp,
    ) -> Option<Alert> {
        let alert = self.alerts.get(&fingerprint)?;
        if !alert.resolved(now) {
            return None;
        }
        self.alerts.remove(&fingerprint)
    }
}
