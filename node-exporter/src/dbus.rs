//! A connection to D-Bus that is made when it is first needed, and kept.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use zbus::{Connection, OwnedVariant, connection::Builder};

/// What a scrape waits for D-Bus at most, however long its own deadline is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Why D-Bus, or the service behind it, has nothing to say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BusError {
    #[error("cannot reach {service} over D-Bus")]
    Connect {
        service: &'static str,
        source: zbus::Error,
    },
    #[error("{service} does not answer {what}")]
    Ask {
        service: &'static str,
        what: String,
        source: zbus::Error,
    },
    #[error("{service} did not answer within {:.1} s", .patience.as_secs_f64())]
    Late {
        service: &'static str,
        patience: Duration,
    },
}

/// A service of D-Bus.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    service: &'static str,
    /// Where it listens when it is to be asked without the bus.
    private: Option<&'static str>,
    kept: Arc<Mutex<Option<Connection>>>,
}

impl Bus {
    pub(crate) fn new(service: &'static str, private: Option<&'static str>) -> Self {
        Self {
            service,
            private,
            kept: Arc::default(),
        }
    }

    /// A service at the other end of a connection.
    #[cfg(test)]
    pub(crate) fn of(service: &'static str, connection: Connection) -> Self {
        let bus = Self::new(service, None);
        bus.keep(Some(connection));
        bus
    }

    /// Runs what asks the service, and ends it after `patience`. A connection over which it failed is not used again.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        ask: impl Future<Output = Result<T, BusError>>,
    ) -> Result<T, BusError> {
        let patience = patience.min(PATIENCE);
        let asked = timeout(patience, ask).await;
        let asked = asked.unwrap_or(Err(BusError::Late {
            service: self.service,
            patience,
        }));
        if asked.is_err() {
            self.keep(None);
        }
        asked
    }

    fn keep(&self, connection: Option<Connection>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    async fn connection(&self) -> Result<Connection, zbus::Error> {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(connection) = kept {
            return Ok(connection);
        }
        let builder = match self.private {
            Some(address) => Builder::address(address).p2p(),
            None => Builder::system(),
        };
        let connection = builder.build().await?;
        self.keep(Some(connection.clone()));
        Ok(connection)
    }

    /// Calls a method without arguments.
    pub(crate) async fn call<T>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
    ) -> Result<T, BusError>
    where
        T: serde::de::DeserializeOwned + zbus::zvariant::Type,
    {
        let connect = |source| BusError::Connect {
            service: self.service,
            source,
        };
        let connection = self.connection().await.map_err(connect)?;
        let answer = async {
            let answer = connection
                .call_method(Some(self.service), path, Some(interface), method, &())
                .await?;
            answer.body().deserialize()
        };
        answer
            .await
            .map_err(|source| self.unanswered(method, source))
    }

    /// Asks for a property.
    pub(crate) async fn property<T: TryFrom<OwnedVariant>>(
        &self,
        path: &str,
        interface: &str,
        property: &str,
    ) -> Result<T, BusError> {
        let answer = async {
            let properties = Some("org.freedesktop.DBus.Properties");
            let question = (interface, property);
            let connection = self.connection().await?;
            let answer = connection
                .call_method(Some(self.service), path, properties, "Get", &question)
                .await?;
            let value: OwnedVariant = answer.body().deserialize()?;
            T::try_from(value).map_err(|_error| {
                zbus::Error::Failure("it is of another type than expected".to_owned())
            })
        };
        answer
            .await
            .map_err(|source| self.unanswered(property, source))
    }

    fn unanswered(&self, what: &str, source: zbus::Error) -> BusError {
        BusError::Ask {
            service: self.service,
            what: what.to_owned(),
            source,
        }
    }
}
