//! Streams that a future feeds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};

/// The sending end.
pub(crate) struct Out<T>(Slot<T>);

type Slot<T> = Arc<Mutex<Option<T>>>;

fn lock<T>(slot: &Slot<T>) -> MutexGuard<'_, Option<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Out<T> {
    /// Hands an item on and goes on when the next one is asked for.
    pub(crate) async fn send(&mut self, item: T) {
        *lock(&self.0) = Some(item);
        std::future::poll_fn(|_| match lock(&self.0).is_none() {
            true => Poll::Ready(()),
            // Whoever takes the item polls again.
            false => Poll::Pending,
        })
        .await;
    }
}

struct Fed<T> {
    run: Option<BoxFuture<'static, ()>>,
    slot: Slot<T>,
}

impl<T: Send> Stream for Fed<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(None);
        };
        let is_over = run.as_mut().poll(context).is_ready();
        if is_over {
            self.run = None;
        }
        match lock(&self.slot).take() {
            Some(item) => Poll::Ready(Some(item)),
            None if is_over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// A stream of what a future sends.
///
/// The future runs only while the stream is waited for: between two items it stands still at its `send`, so it
/// never holds a lock or a half-read response while nobody looks at it.
pub(crate) fn feed<T, F>(run: impl FnOnce(Out<T>) -> F) -> BoxStream<'static, T>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let slot = Slot::default();
    let run: BoxFuture<'static, ()> = Box::pin(run(Out(Arc::clone(&slot))));
    Fed {
        run: Some(run),
        slot,
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_feeding_future_stands_still_until_the_next_item_is_asked_for() {
        let made = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&made);
        let mut fed = feed(move |mut out| async move {
            for item in 0..3 {
                counted.fetch_add(1, Ordering::Relaxed);
                out.send(item).await;
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(fed.next().await, Some(0));
        tokio::task::yield_now().await;
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(fed.collect::<Vec<_>>().await, [1, 2]);
    }
}
