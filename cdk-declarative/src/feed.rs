//! Streams that a future feeds.

use futures::channel::mpsc;
use futures::stream::{self, BoxStream, StreamExt};

/// The sending end.
pub(crate) struct Out<T>(mpsc::Sender<T>);

impl<T> Out<T> {
    /// Hands an item on; waits while the one before it was not taken. False when nobody reads any more.
    pub(crate) async fn send(&mut self, item: T) -> bool {
        futures::SinkExt::send(&mut self.0, item).await.is_ok()
    }
}

/// A stream of what a future sends. The future runs only while the stream is polled, at most an item ahead.
pub(crate) fn feed<T, F>(run: impl FnOnce(Out<T>) -> F) -> BoxStream<'static, T>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, received) = mpsc::channel(0);
    let run = stream::once(run(Out(sender))).filter_map(|()| async { None });
    stream::select(received, run).boxed()
}
