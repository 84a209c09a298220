//! Blocking work of a loader, off the runtime's threads.

use tracing::dispatcher;

use crate::error::{ConnectorError, ErrorContext, Result};

/// Owns what a loader works with and lends it to threads for blocking work, one piece after the other.
///
/// ```
/// # use cdk_core::destination::offload::Offload;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut numbers = Offload::new(vec![1]);
/// let count = numbers.run(|list| { list.push(2); Ok(list.len()) }).await?;
/// assert_eq!(count, 2);
/// # Ok::<(), cdk_core::ConnectorError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Offload<T> {
    /// `None` while a thread has it, and after that thread panicked.
    owned: Option<Box<T>>,
}

impl<T: Send + 'static> Offload<T> {
    /// Takes over `owned`.
    pub fn new(owned: T) -> Self {
        Self {
            owned: Some(Box::new(owned)),
        }
    }

    /// Runs `work` on a thread for blocking work. Its events go where the caller's go.
    ///
    /// A panic becomes a system error, then and at every later call.
    pub async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let crashed = "A thread of the destination crashed. Please report this.";
        let mut owned = self
            .owned
            .take()
            .ok_or_else(|| ConnectorError::system(crashed))?;
        let log = dispatcher::get_default(Clone::clone);
        let worked = tokio::task::spawn_blocking(move || {
            let done = dispatcher::with_default(&log, || work(&mut owned));
            (owned, done)
        });
        let (owned, done) = worked.await.system_error(crashed)?;
        self.owned = Some(owned);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_then_and_later() {
        let mut offload = Offload::new(1);
        let crash = offload
            .run(|_| -> Result<()> { panic!("on purpose") })
            .await;
        assert!(crash.unwrap_err().message().contains("crashed"));
        assert!(offload.run(|_| Ok(())).await.is_err());
    }

    #[tokio::test]
    async fn an_error_leaves_the_owned_value_in_place() {
        let mut offload = Offload::new(1);
        let failed = offload
            .run(|n| -> Result<()> {
                *n = 5;
                Err(ConnectorError::system("x"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(offload.run(|n| Ok(*n)).await.unwrap(), 5);
    }
}
