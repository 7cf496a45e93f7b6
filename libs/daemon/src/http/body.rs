//! The body of an answer: whole in memory, or made piece by piece while it is sent.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that wait for the client; whoever makes them waits then.
const AHEAD: usize = 2;

/// What a client gets.
#[derive(Debug)]
pub enum ReplyBody {
    /// All of it; None once it was taken.
    Whole(Option<Bytes>),
    /// Pieces, until the sender is dropped.
    Pieces(mpsc::Receiver<Bytes>),
}

impl ReplyBody {
    /// A body that is made while it is sent: pieces go into the sender, which waits for the client to take them, and fails when the
    /// client is gone.
    #[must_use]
    pub fn pieces() -> (mpsc::Sender<Bytes>, Self) {
        let (send, receive) = mpsc::channel(AHEAD);
        (send, Self::Pieces(receive))
    }

    #[must_use]
    /// Bytes, when they are known.
    pub fn size(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

impl<T: Into<Bytes>> From<T> for ReplyBody {
    fn from(bytes: T) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|it| !it.is_empty());
                Poll::Ready(bytes.map(|it| Ok(Frame::data(it))))
            }
            Self::Pieces(pieces) => pieces
                .poll_recv(context)
                .map(|it| it.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                let size = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
            }
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}
