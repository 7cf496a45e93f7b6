//! Ctrl-C, a terminal that goes away, a service manager that ends us: what is half done is brought to its end, then the run stops. A second
//! time it breaks off.

use anyhow::Context as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// What shells call the end by Ctrl-C.
pub(crate) const EXIT_CODE: u8 = 130;

/// Why a run stopped before its end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted: {0}")]
pub(crate) struct Interrupted(pub(crate) String);

/// Whether somebody wants the run to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    came: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on, within a runtime. `meanwhile` is what is said at the first time.
    pub(crate) fn listen(meanwhile: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let (send, came) = watch::channel(false);
        let mut all = Vec::new();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            all.push(signal(kind).context("cannot listen for signals")?);
        }
        tokio::spawn(async move {
            any(&mut all).await;
            // Nobody looks when the run is over.
            send.send(true).unwrap_or(());
            meanwhile();
            any(&mut all).await;
            break_off();
        });
        Ok(Self { came })
    }

    pub(crate) fn came(&self) -> bool {
        *self.came.borrow()
    }

    /// What may be broken off at any point: it is, when somebody wants that.
    pub(crate) async fn stops<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut came = self.came.clone();
        tokio::select! {
            done = work => Some(done),
            Ok(_) = came.wait_for(|it| *it) => None,
        }
    }
}

/// Waits for one of some signals.
async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let came = signals
            .iter_mut()
            .any(|it| it.poll_recv(context).is_ready());
        if came {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "whoever asks twice does not want to wait for anything"
)]
fn break_off() {
    std::process::exit(i32::from(EXIT_CODE));
}
