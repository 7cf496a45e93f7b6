//! Ctrl-C, a terminal that goes away, a service manager that ends us: what is half done is brought to its end, then the run stops. A second
//! time it breaks off.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

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

/// Of signals that came, how many some part of a run was told of.
static TOLD: AtomicUsize = AtomicUsize::new(0);

impl Interrupt {
    /// Listens from now on, within a runtime. `meanwhile` is what is said at the first time. What came between two parts of a run, when nobody
    /// listened, counts for the second.
    pub(crate) fn listen(meanwhile: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let (send, came) = watch::channel(false);
        let mut heard = signals()?;
        let told = TOLD.load(Ordering::SeqCst);
        tokio::spawn(async move {
            // Who counts them lives as long as the process.
            drop(heard.wait_for(|it| *it > told).await);
            TOLD.fetch_max(told + 1, Ordering::SeqCst);
            // Nobody looks when the run is over.
            send.send(true).unwrap_or(());
            meanwhile();
            drop(heard.wait_for(|it| *it > told + 1).await);
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

/// How many signals came since the first part of a run listened: one thread counts them until the process ends.
fn signals() -> anyhow::Result<watch::Receiver<usize>> {
    static HEARD: Mutex<Option<watch::Receiver<usize>>> = Mutex::new(None);
    let mut kept = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(heard) = &*kept {
        return Ok(heard.clone());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot listen for signals")?;
    let mut all = Vec::new();
    {
        let _within = runtime.enter();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            all.push(signal(kind).context("cannot listen for signals")?);
        }
    }
    let (send, heard) = watch::channel(0);
    let count = move || {
        runtime.block_on(async {
            loop {
                any(&mut all).await;
                send.send_modify(|it| *it += 1);
                if *send.borrow() > TOLD.load(Ordering::SeqCst) + 1 {
                    // Nobody listens just now, and somebody has asked twice.
                    break_off();
                }
            }
        });
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(count)
        .context("cannot listen for signals")?;
    Ok(kept.insert(heard).clone())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::Interrupt;
    use crate::install::runtime;

    /// Whether the next part of a run is asked to stop, with what comes while it listens, if that is to be waited for.
    fn part(patience: Duration) -> bool {
        runtime().unwrap().block_on(async {
            let interrupt = Interrupt::listen(|| {}).unwrap();
            let work = tokio::time::sleep(patience);
            interrupt.stops(work).await.is_none()
        })
    }

    #[test]
    fn between_two_parts() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(60));
        assert!(!part(short));
        kill_process(getpid(), Signal::HUP).unwrap();
        assert!(part(long), "what came while nobody listened");
        assert!(!part(short), "once");
    }
}
