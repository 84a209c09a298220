//! What a running connector gets from its host: clock, secrets, the stop signal and the way to emit messages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::{AirbyteControlMessage, AirbyteMessage, RawJson};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::error::{ConnectorError, ErrorContext, Result};
use crate::event::EventSender;
use crate::secret::Secrets;

/// After a stop, whoever reads or loads has this long to come to a good end. The process exits within 10 s.
const GRACE: Duration = Duration::from_secs(6);

/// The host's side of a running connector. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    clock: Arc<dyn Clock>,
    secrets: Secrets,
    stop: CancellationToken,
    events: EventSender,
    prefers_arrow: bool,
    config: RunConfig,
}

/// The config of a run, as last persisted.
#[derive(Clone, Default)]
struct RunConfig(Arc<Mutex<Value>>);

impl std::fmt::Debug for RunConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds secrets.
        f.write_str("RunConfig")
    }
}

impl Context {
    /// A context that emits through `events` and runs on the system clock.
    pub fn new(events: EventSender) -> Self {
        Self::with_host(
            events,
            Arc::new(SystemClock),
            Secrets::default(),
            CancellationToken::new(),
        )
    }

    /// A context with everything given by the host.
    pub fn with_host(
        events: EventSender,
        clock: Arc<dyn Clock>,
        secrets: Secrets,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            clock,
            secrets,
            stop,
            events,
            prefers_arrow: false,
            config: RunConfig::default(),
        }))
    }

    /// The same host, for a run with this config.
    #[must_use]
    pub fn with_config(&self, config: Value) -> Self {
        let config = RunConfig(Arc::new(Mutex::new(config)));
        let inner = Inner::clone(&self.0);
        Self(Arc::new(Inner { config, ..inner }))
    }

    /// The same host, for a source whose destination [prefers Arrow batches](crate::Capabilities::prefers_arrow).
    #[must_use]
    pub fn with_arrow_preferred(self, prefers_arrow: bool) -> Self {
        let inner = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner {
            prefers_arrow,
            ..inner
        }))
    }

    /// Whether whoever takes the records would rather have Arrow columns than JSON text.
    pub fn prefers_arrow(&self) -> bool {
        self.0.prefers_arrow
    }

    /// The config of the run as the platform gave it, in the spec's spelling and with what was persisted since.
    pub fn config(&self) -> Value {
        let config = self.0.config.0.lock();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Milliseconds since the Unix epoch by the host's clock.
    pub fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// The host's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The known secrets; register tokens fetched at run time here.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// Cancelled when the host wants the run to end soon.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Emits a message (estimate, analytics, stream status…) behind everything emitted before.
    pub fn emit(&self, message: AirbyteMessage) -> Result<()> {
        self.0.events.message(message)
    }

    /// Has the host persist a changed config (a rotated refresh token, a migrated key).
    ///
    /// Returns once the CONTROL message was written and flushed: only then may a single-use credential be used.
    pub async fn persist_config<T: Serialize>(&self, config: &T) -> Result<()> {
        self.send_config(config)?;
        self.0.events.delivered().await
    }

    /// Changes fields of the run's config, each given by its path, and has the host persist it.
    ///
    /// Returns as [`persist_config`](Self::persist_config) does. Changes of several tasks add up.
    pub async fn persist_fields<P: AsRef<[String]>>(
        &self,
        fields: impl IntoIterator<Item = (P, Value)>,
    ) -> Result<()> {
        {
            let config = &self.0.config.0;
            let mut config = config.lock().unwrap_or_else(PoisonError::into_inner);
            for (path, value) in fields {
                set_field(&mut config, path.as_ref(), value);
            }
            // Sent under the lock, so that an older config does not overtake a newer one.
            self.send_config(&*config)?;
        }
        self.0.events.delivered().await
    }

    fn send_config<T: Serialize + ?Sized>(&self, config: &T) -> Result<()> {
        let config = RawJson::from_serialize(config)
            .system_error("The changed config could not be written as JSON.")?;
        let control = AirbyteControlMessage::connector_config(self.now_ms() as f64, config);
        self.0.events.message(AirbyteMessage::Control(control))
    }

    /// The value of `wait`, or a stop when the run was asked to stop and `wait` does not end within 6 s.
    pub(crate) async fn unless_overdue<T>(&self, wait: impl Future<Output = T>) -> Result<T> {
        let overdue = async {
            self.stop().cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            value = wait => Ok(value),
            () = overdue => Err(ConnectorError::stopped()),
        }
    }

    pub(crate) fn events(&self) -> &EventSender {
        &self.0.events
    }
}

/// Sets the member at `path`, and makes objects of what stands in its way.
fn set_field(config: &mut Value, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *config = value;
        return;
    };
    if !config.is_object() {
        *config = Value::Object(Map::new());
    }
    if let Value::Object(members) = config {
        set_field(
            members.entry(first.clone()).or_insert(Value::Null),
            rest,
            value,
        );
    }
}
