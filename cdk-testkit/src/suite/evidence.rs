//! What the suite found out: every run, and what follows from them.

use std::collections::BTreeMap;

use cdk_core::Secrets;
use cdk_core::config::secrets_of;
use serde_json::Value;

use super::observed::{Ended, Observed};
use super::plan::{Plan, Role};
use super::rule::{Halt, list};

/// A thing the suite does with a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    Spec,
    Check,
    CheckInvalid(usize),
    CheckBroken,
    CheckNoFile,
    Discover,
    DiscoverAgain,
    ReadFull,
    ReadFullAgain,
    ReadIncremental,
    ReadSecond,
    ReadForced,
    ReadForeignState,
    ReadUnknownStream,
    ReadFuture,
    Resume(usize),
    ReadKilled,
    ReadAfterKill,
    ReadStopped,
    ReadAfterStop,
    Append,
    AppendAgain,
    Overwrite,
    OverwriteAgain,
    OverwriteCut,
    Refresh,
    RefreshAgain,
    Dedup,
    DedupAgain,
    Namespaces,
    OddNames,
    OddValues,
    NewColumn,
    NewType,
    Empty,
    ManyStreams,
    GlobalState,
    KilledAtState,
    Stopped,
    Garbage,
    UnknownStream,
    UnknownMode,
}

/// Why something was not done when the suite's own limit was reached.
pub(super) const TIME_UP: &str = "the time of the suite was up";

/// All runs of a suite.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) plan: Plan,
    pub(super) role: Role,
    pub(super) runs: BTreeMap<Act, Observed>,
    /// Why something was not done.
    pub(super) missing: BTreeMap<Act, String>,
    /// What a destination held after a run, by stream.
    pub(super) rows: BTreeMap<(Act, String), Result<Vec<Value>, String>>,
    secrets: Secrets,
    has_secrets: bool,
}

impl Evidence {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            role: plan.role.unwrap_or(Role::Source),
            plan,
            runs: BTreeMap::new(),
            missing: BTreeMap::new(),
            rows: BTreeMap::new(),
            secrets: Secrets::default(),
            has_secrets: false,
        }
    }

    /// What `spec` answered: roles that were not given, and secrets, follow from it.
    pub(super) fn learn_spec(&mut self) {
        let Some(spec) = self.spec().cloned() else {
            return;
        };
        if self.plan.role.is_none() && list(&spec["supported_destination_sync_modes"]).count() > 0 {
            self.role = Role::Destination;
        }
        let schema = &spec["connectionSpecification"];
        let configs = std::iter::once(&self.plan.config).chain(&self.plan.invalid_configs);
        let found: Vec<_> = configs.flat_map(|it| secrets_of(schema, it)).collect();
        // Very short ones stand in many an innocent place.
        let found = found.into_iter().filter(|secret| secret.len() >= 4);
        let found: Vec<_> = found.chain(self.plan.secrets.iter().cloned()).collect();
        self.has_secrets = !found.is_empty();
        self.secrets.add_all(found);
    }

    pub(super) fn is_destination(&self) -> bool {
        self.role == Role::Destination
    }

    pub(super) fn has_secrets(&self) -> bool {
        self.has_secrets
    }

    /// Whether a text holds a secret, plain or encoded.
    pub(super) fn leaks(&self, text: &str) -> bool {
        self.secrets.mask(text) != text
    }

    /// A text in which no secret stands.
    pub(super) fn mask(&self, text: &str) -> String {
        self.secrets.mask(text).into_owned()
    }

    /// A run, or why there is none.
    pub(super) fn run(&self, act: Act) -> Result<&Observed, Halt> {
        self.runs.get(&act).ok_or_else(|| {
            let why = self.missing.get(&act);
            Halt::Skip(
                why.cloned()
                    .unwrap_or_else(|| "nothing was run for it".to_owned()),
            )
        })
    }

    /// The SPEC message's body.
    pub(super) fn spec(&self) -> Option<&Value> {
        self.runs.get(&Act::Spec)?.first("SPEC", "spec")
    }

    /// The config's schema.
    pub(super) fn schema(&self) -> Result<&Value, Halt> {
        let schema = self.spec().map(|spec| &spec["connectionSpecification"]);
        schema.ok_or_else(|| Halt::Skip("the connector printed no SPEC".to_owned()))
    }

    /// The modes that a destination says it has.
    pub(super) fn modes(&self) -> Vec<&str> {
        let modes = self
            .spec()
            .map(|spec| &spec["supported_destination_sync_modes"]);
        let modes = modes.into_iter().flat_map(list);
        modes.filter_map(Value::as_str).collect()
    }

    /// The streams of the catalog that are tested.
    pub(super) fn streams(&self) -> &[Value] {
        let catalog = self
            .runs
            .get(&Act::Discover)
            .and_then(|it| it.first("CATALOG", "catalog"));
        let streams = catalog.and_then(|catalog| catalog["streams"].as_array());
        streams.map_or(&[], Vec::as_slice)
    }

    /// The streams of the configured catalogs: those found, or of them those asked for.
    pub(super) fn chosen(&self) -> impl Iterator<Item = &Value> {
        self.streams().iter().filter(|stream| {
            let names = &self.plan.streams;
            names.is_empty() || names.iter().any(|name| stream["name"] == name.as_str())
        })
    }

    /// What a destination held of a stream after a run.
    pub(super) fn rows(&self, act: Act, stream: &str) -> Result<&[Value], Halt> {
        self.run(act)?;
        match self.rows.get(&(act, stream.to_owned())) {
            Some(Ok(rows)) => Ok(rows),
            Some(Err(error)) => Err(Halt::Skip(format!(
                "what the destination holds could not be read back: {error}"
            ))),
            None => Err(Halt::Skip("nothing was read back".to_owned())),
        }
    }

    /// Whether some run of this verb hung or flooded: then there is no point in calling it again.
    pub(super) fn gave_up(&self, verb: &str) -> bool {
        let mut runs = self.runs.values().filter(|run| run.call.verb == verb);
        runs.any(|run| matches!(run.ended, Ended::TimedOut | Ended::Flooded))
    }
}
