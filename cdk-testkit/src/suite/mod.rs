//! The conformance suite: one call judges a connector by the protocol.
//!
//! ```no_run
//! use cdk_core::Source;
//! use cdk_testkit::Suite;
//! use serde_json::json;
//!
//! async fn it_conforms(source: impl Source) {
//!     Suite::source(source)
//!         .config(json!({"count": 100}))
//!         .invalid_config(json!({"count": -1}))
//!         .run()
//!         .await
//!         .assert_passed();
//! }
//! ```
//!
//! The suite calls the connector as a platform does: every verb, good and bad configs, full and incremental reads,
//! resumes from its states, kills and stops; destinations in all their modes, with odd names and values. Then each
//! [`Rule`] looks at what was printed. What a rule needs is data ([`Need`]): the connector's kind, its modes, or
//! something only the author can give (a state ahead of all data, a way to read rows back). A rule whose needs are
//! not met is skipped, and the report says why; [`Suite::excuse`] skips one for a reason of yours.
//!
//! A destination is given rows in streams whose names begin with `conformance_`; nothing else is touched, and they
//! are left behind.
//!
//! Connectors of other processes are judged by the same rules: [`Suite::program`].

mod acts;
mod call;
mod evidence;
mod in_process;
mod observed;
mod plan;
mod process;
mod report;
mod rule;
mod rules;
mod subject;
mod tape;

use std::future::Future;
use std::sync::Arc;

use cdk_core::entrypoint::Connector;
use cdk_core::{Destination, Source};
use serde_json::Value;

use acts::Stage;
use evidence::Evidence;
use plan::Plan;

pub use call::{At, Call, Interrupt, Signal};
pub use observed::{Ended, Observed};
pub use plan::{Limits, Role};
pub use process::Program;
pub use report::{Judged, Report, Verdict};
pub use rule::{Level, Need, Offence, Rule};
pub use rules::all as rules;
pub use subject::{SharedTape, Subject};
pub use tape::{Line, Next, Tape};

/// A call of the suite.
#[must_use = "nothing is run before `run`"]
pub struct Suite {
    subject: Arc<dyn Subject>,
    plan: Plan,
}

impl Suite {
    /// Judges a source of this process.
    pub fn source(source: impl Source) -> Self {
        Self::connector(Connector::Source(Arc::new(source)))
    }

    /// Judges a destination of this process.
    pub fn destination(destination: impl Destination) -> Self {
        Self::connector(Connector::Destination(Arc::new(destination)))
    }

    /// Judges a connector of this process.
    pub fn connector(connector: Connector) -> Self {
        let role = match connector {
            Connector::Source(_) => Role::Source,
            Connector::Destination(_) => Role::Destination,
        };
        Self::subject(in_process::InProcess::new(connector), Some(role))
    }

    /// Judges a program. Whether it is a destination is told by its spec, if not by [`Suite::role`].
    pub fn program(program: Program) -> Self {
        Self::subject(program, None)
    }

    /// Judges anything that can be called with a verb.
    pub fn subject(subject: impl Subject + 'static, role: Option<Role>) -> Self {
        Self {
            subject: Arc::new(subject),
            plan: Plan::new(role),
        }
    }

    /// How the connector is called in the report.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.plan.name = Some(name.into());
        self
    }

    /// Says what the connector is.
    pub fn role(mut self, role: Role) -> Self {
        self.plan.role = Some(role);
        self
    }

    /// A config that works. The empty object by default.
    pub fn config(mut self, config: Value) -> Self {
        self.plan.config = config;
        self
    }

    /// A config that must be refused: one that fits the spec, but not the world. May be called often.
    pub fn invalid_config(mut self, config: Value) -> Self {
        self.plan.invalid_configs.push(config);
        self
    }

    /// A text that may never be printed, beside what the spec calls secret in the configs.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.plan.secrets.push(secret.into());
        self
    }

    /// Reads only these streams. All by default.
    pub fn streams<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.plan.streams.extend(names.into_iter().map(Into::into));
        self
    }

    /// Reads with this configured catalog, instead of one made from the discovered catalog.
    pub fn catalog(mut self, configured: Value) -> Self {
        self.plan.catalog = Some(configured);
        self
    }

    /// Where the first incremental read begins: a list of states. From the start by default.
    pub fn state(mut self, states: Value) -> Self {
        self.plan.state = Some(states);
        self
    }

    /// States (a list) that are ahead of all data: reading from them must give no records.
    pub fn future_state(mut self, states: Value) -> Self {
        self.plan.future_state = Some(states);
        self
    }

    /// The `spec` of the version before (the message's body): old configs must stay valid.
    pub fn previous_spec(mut self, spec: Value) -> Self {
        self.plan.previous_spec = Some(spec);
        self
    }

    /// The `catalog` of the version before (the message's body): what users selected must stay.
    pub fn previous_catalog(mut self, catalog: Value) -> Self {
        self.plan.previous_catalog = Some(catalog);
        self
    }

    /// Records (their data) that the stream must have, each with at least these fields.
    pub fn expected_records(
        mut self,
        stream: &str,
        records: impl IntoIterator<Item = Value>,
    ) -> Self {
        let expected = self.plan.expected_records.entry(stream.to_owned());
        expected.or_default().extend(records);
        self
    }

    /// A stream may be without records, for a reason.
    pub fn allow_empty(mut self, stream: &str, reason: &str) -> Self {
        let empty = &mut self.plan.empty_streams;
        empty.insert(stream.to_owned(), reason.to_owned());
        self
    }

    /// Top-level fields of records that differ from read to read (the time of the read, say).
    pub fn ignore_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        let fields = fields.into_iter().map(Into::into);
        self.plan.ignored_fields.extend(fields);
        self
    }

    /// Skips a rule, for a reason that the report shows.
    ///
    /// # Panics
    /// If there is no rule of this id, or the reason is empty.
    pub fn excuse(mut self, rule: &str, reason: &str) -> Self {
        assert!(
            rules::all().any(|it| it.id == rule),
            "there is no rule {rule}"
        );
        assert!(!reason.trim().is_empty(), "{rule}: a skip needs a reason");
        self.plan.excuses.insert(rule.to_owned(), reason.to_owned());
        self
    }

    /// How to read back what a destination holds of a stream (namespace, name): one JSON object per row, with the
    /// fields `id` and `name` at least. With it the modes are judged by what is really there.
    pub fn read_back<F, R>(mut self, read: F) -> Self
    where
        F: Fn(Option<String>, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Value>, String>> + Send + 'static,
    {
        let read = move |namespace, name| -> futures::future::BoxFuture<'static, _> {
            Box::pin(read(namespace, name))
        };
        self.plan.read_back = Some(Arc::new(read));
        self
    }

    /// The namespace of the streams that a destination is given. None by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.plan.namespace = Some(namespace.into());
        self
    }

    /// Changes how long and how much.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.plan.limits);
        self
    }

    /// Runs everything and judges it. Always ends, whatever the connector does: see [`Limits`].
    pub async fn run(self) -> Report {
        let name = self
            .plan
            .name
            .clone()
            .unwrap_or_else(|| self.subject.name());
        let mut stage = Stage::new(self.subject, Evidence::new(self.plan));
        acts::play(&mut stage).await;
        Report::new(name, &stage.evidence, stage.started.elapsed())
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite")
            .field("subject", &self.subject.name())
            .field("plan", &self.plan)
            .finish()
    }
}
