//! A rule: what the protocol says, when it applies, and how it is checked.

use serde_json::Value;

use super::evidence::Evidence;
use super::observed::Observed;
use super::tape::Line;

/// One rule of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name: `read.primary-key`.
    pub id: &'static str,
    /// What must hold, in one line.
    pub title: &'static str,
    /// What the protocol, or the platform that runs it, says.
    pub protocol: &'static str,
    /// How bad it is to break it.
    pub level: Level,
    /// What the connector or the call of the suite must have for the rule to apply.
    pub needs: &'static [Need],
    pub(super) check: fn(&Evidence) -> Outcome,
}

/// How bad it is to break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The connector does not conform.
    Must,
    /// A warning: users will notice, platforms cope.
    Should,
}

/// What a rule needs to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A source.
    Source,
    /// A destination.
    Destination,
    /// A config that is known to be refused.
    InvalidConfig,
    /// Secrets in the config.
    Secrets,
    /// A stream that can be read incrementally.
    Incremental,
    /// A stream with a primary key.
    PrimaryKey,
    /// The spec of an earlier version.
    PreviousSpec,
    /// The catalog of an earlier version.
    PreviousCatalog,
    /// A state ahead of all data.
    FutureState,
    /// Records that the source is known to have.
    ExpectedRecords,
    /// An OAuth configuration in the spec.
    OAuth,
    /// A way to read back what a destination holds.
    ReadBack,
    /// The destination's mode `append`.
    Append,
    /// The destination's mode `overwrite`.
    Overwrite,
    /// The destination's mode `append_dedup`.
    Dedup,
}

/// Why rules of the other kind of connector don't apply.
pub(super) const OTHER_ROLE: [&str; 2] = ["it is a destination", "it is a source"];

impl Need {
    /// Why a rule with this need does not apply, if it does not.
    pub(super) fn unmet(self, evidence: &Evidence) -> Option<&'static str> {
        let has_mode = |mode| evidence.modes().contains(&mode);
        let (is_met, why) = match self {
            Self::Source => (!evidence.is_destination(), OTHER_ROLE[0]),
            Self::Destination => (evidence.is_destination(), OTHER_ROLE[1]),
            Self::InvalidConfig => (
                !evidence.plan.invalid_configs.is_empty(),
                "no invalid config was given",
            ),
            Self::Secrets => (evidence.has_secrets(), "the config holds no secrets"),
            Self::Incremental => (
                evidence.streams().iter().any(is_incremental),
                "no stream can be read incrementally",
            ),
            Self::PrimaryKey => (
                evidence.streams().iter().any(|it| !key_of(it).is_empty()),
                "no stream has a primary key",
            ),
            Self::PreviousSpec => (
                evidence.plan.previous_spec.is_some(),
                "no spec of an earlier version was given",
            ),
            Self::PreviousCatalog => (
                evidence.plan.previous_catalog.is_some(),
                "no catalog of an earlier version was given",
            ),
            Self::FutureState => (
                evidence.plan.future_state.is_some(),
                "no state ahead of all data was given",
            ),
            Self::ExpectedRecords => (
                !evidence.plan.expected_records.is_empty(),
                "no expected records were given",
            ),
            Self::OAuth => (
                evidence
                    .spec()
                    .is_some_and(|it| it["advanced_auth"].is_object()),
                "the spec has no advanced_auth",
            ),
            Self::ReadBack => (
                evidence.plan.read_back.is_some(),
                "no way to read back what the destination holds was given",
            ),
            Self::Append => (has_mode("append"), "the destination has no mode append"),
            Self::Overwrite => (
                has_mode("overwrite"),
                "the destination has no mode overwrite",
            ),
            Self::Dedup => (
                has_mode("append_dedup"),
                "the destination has no mode append_dedup",
            ),
        };
        (!is_met).then_some(why)
    }
}

/// Whether a stream of a catalog says that it can be read incrementally.
pub(super) fn is_incremental(stream: &Value) -> bool {
    list(&stream["supported_sync_modes"]).any(|mode| mode == "incremental")
}

/// The paths of a stream's own primary key.
pub(super) fn key_of(stream: &Value) -> Vec<Vec<&str>> {
    list(&stream["source_defined_primary_key"])
        .map(path_of)
        .collect()
}

/// A path of the catalog.
pub(super) fn path_of(path: &Value) -> Vec<&str> {
    list(path).filter_map(Value::as_str).collect()
}

/// The items of an array; none if it is something else.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What a check found: nothing, or why it stopped.
pub(super) type Outcome = Result<(), Halt>;

/// Why a check stopped.
#[derive(Debug)]
pub(super) enum Halt {
    /// The rule is broken.
    Broken(Box<Offence>),
    /// The rule can't be judged.
    Skip(String),
}

/// What breaks a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Offence {
    /// What is wrong.
    pub what: String,
    /// The run that shows it.
    pub run: Option<String>,
    /// The number and text of the line that shows it.
    pub line: Option<(usize, String)>,
}

/// The rule is broken, whatever was printed.
pub(super) fn broken<T>(what: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Broken(Box::new(Offence {
        what: what.into(),
        run: None,
        line: None,
    })))
}

/// The rule is broken by a run as a whole.
pub(super) fn broken_by<T>(run: &Observed, what: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Broken(Box::new(Offence {
        what: what.into(),
        run: Some(run.call.label.clone()),
        line: None,
    })))
}

/// The rule is broken by this line.
pub(super) fn broken_at<T>(
    run: &Observed,
    line: &Line,
    what: impl Into<String>,
) -> Result<T, Halt> {
    Err(Halt::Broken(Box::new(Offence {
        what: what.into(),
        run: Some(run.call.label.clone()),
        line: Some((line.number, line.text.clone())),
    })))
}

/// The rule can't be judged.
pub(super) fn skip<T>(why: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Skip(why.into()))
}
