//! The body of an answer: in memory, in one piece or several, or made piece by piece while it is sent.

use std::{
    collections::VecDeque,
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
    /// All of it, in parts that lie where they are, and maybe belong to others, too.
    Parts(VecDeque<Bytes>),
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

    /// A body that is there, in parts.
    #[must_use]
    pub fn parts(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Parts(parts.into_iter().filter(|it| !it.is_empty()).collect())
    }

    /// What is left of it, when all of it is in memory.
    pub(crate) fn whole(&self) -> Option<Vec<Bytes>> {
        match self {
            Self::Whole(bytes) => Some(bytes.iter().cloned().collect()),
            Self::Parts(parts) => Some(parts.iter().cloned().collect()),
            Self::Pieces(_) => None,
        }
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
            Self::Parts(parts) => Poll::Ready(parts.pop_front().map(|it| Ok(Frame::data(it)))),
            Self::Pieces(pieces) => pieces
                .poll_recv(context)
                .map(|it| it.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Parts(parts) => parts.is_empty(),
            Self::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                let size = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
            }
            Self::Parts(parts) => {
                let size = parts.iter().map(Bytes::len).sum::<usize>();
                SizeHint::with_exact(u64::try_from(size).unwrap_or(u64::MAX))
            }
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}
