//! The strength of the suite: sound connectors pass, and each rule is failed by the connector that breaks it.

use std::collections::BTreeSet;
use std::time::Duration;

use cdk_testkit::suite::{Need, Report, Verdict, rules};
use tokio::task::JoinSet;

use crate::{destination, destination_faults, source, source_faults};

#[tokio::test]
async fn a_sound_source_passes_every_rule() {
    let report = source::suite(|_, _| {}).run().await;
    assert!(report.is_clean(), "{}", report.table());
    assert_all_judged(&report, Need::Destination);
}

#[tokio::test]
async fn a_sound_destination_passes_every_rule() {
    let report = destination::suite(destination_faults::Fault::default())
        .run()
        .await;
    assert!(report.is_clean(), "{}", report.table());
    assert_all_judged(&report, Need::Source);
}

/// Whether no rule was skipped but those of the other role, and those that only a source's author can serve.
fn assert_all_judged(report: &Report, other: Need) {
    for judged in &report.rules {
        let needs = judged.rule.needs;
        let is_judged = !matches!(judged.verdict, Verdict::Skipped(_));
        let is_given = !needs.contains(&other)
            && (other == Need::Destination
                || !needs
                    .iter()
                    .any(|need| matches!(need, Need::OAuth | Need::PreviousSpec)));
        assert!(
            is_judged || !is_given,
            "{}: {:?}",
            judged.rule.id,
            judged.verdict
        );
    }
}

/// Rules that can't be broken alone, and those that fall with them. A fault in a catalog is also a difference from the
/// catalog of before; one in a record is also a record that is missing.
const CONSEQUENCES: &[(&str, &[&str])] = &[
    ("check.refuses", &["check.validates"]),
    ("compatible.field-types", &["read.matches-schema"]),
    ("compatible.fields", &["read.declared-fields"]),
    ("compatible.keys", &["read.unique-keys"]),
    (
        "compatible.streams",
        &[
            "compatible.fields",
            "compatible.field-types",
            "compatible.cursors",
            "compatible.keys",
            "read.succeeds",
            "read.complete",
            "read.has-states",
            "read.accepts-nulls",
            "read.no-empty-stream",
            "read.expected-records",
        ],
    ),
    (
        "discover.cursor-exists",
        &["compatible.cursors", "read.has-cursor"],
    ),
    (
        "discover.has-streams",
        &[
            "compatible.streams",
            "compatible.fields",
            "compatible.field-types",
            "compatible.cursors",
            "compatible.keys",
        ],
    ),
    (
        "discover.key-exists",
        &["compatible.keys", "read.has-key", "read.unique-keys"],
    ),
    (
        "discover.key-is-scalar",
        &["compatible.field-types", "read.matches-schema"],
    ),
    ("discover.known-types", &["compatible.field-types"]),
    ("discover.resumable-streams-have-cursors", &["wire.schema"]),
    ("discover.sync-modes", &["wire.schema"]),
    (
        "discover.unique-names",
        &[
            "compatible.streams",
            "compatible.fields",
            "compatible.field-types",
            "compatible.cursors",
            "compatible.keys",
            "read.complete",
            "read.status-order",
            "read.declared-fields",
            "read.fields-are-seen",
            "state.ahead",
        ],
    ),
    (
        "discover.valid-schemas",
        &["discover.known-types", "compatible.field-types"],
    ),
    ("read.accepts-nulls", &["read.succeeds"]),
    ("read.data-is-not-empty", &["read.fields-are-seen"]),
    ("read.fields-are-seen", &["read.declared-fields"]),
    (
        "read.has-cursor",
        &["read.has-key", "read.unique-keys", "read.expected-records"],
    ),
    (
        "read.has-key",
        &[
            "read.matches-schema",
            "read.unique-keys",
            "read.has-cursor",
            "read.expected-records",
        ],
    ),
    ("read.has-states", &["read.last-state-covers-all"]),
    ("read.no-empty-stream", &["read.counts"]),
    ("read.no-legacy-states", &["state.moves-on"]),
    (
        "read.only-configured-streams",
        &["read.status-order", "read.last-state-covers-all"],
    ),
    (
        "read.states-move",
        &["state.resumes-everywhere", "state.survives-kill"],
    ),
    (
        "read.succeeds",
        &[
            "read.accepts-nulls",
            "state.is-accepted",
            "state.resumes-everywhere",
            "state.survives-kill",
            "state.survives-stop",
            "state.ignores-what-is-gone",
            "state.ahead",
        ],
    ),
    ("read.unique-keys", &["read.expected-records"]),
    ("rows.overwrite", &["rows.overwrite-is-atomic"]),
    ("run.ends", &["discover.one-answer"]),
    ("run.failure-is-explained", &["wire.schema"]),
    ("run.no-crash", &["check.succeeds"]),
    (
        "run.output-is-bounded",
        &["wire.json-lines", "discover.one-answer"],
    ),
    ("run.stops-when-told", &["run.ends"]),
    ("spec.config-fits", &["compatible.spec-types"]),
    ("spec.one-of", &["spec.config-fits", "spec.oauth-default"]),
    ("spec.protocol-version", &["wire.schema"]),
    ("spec.refs-resolve", &["spec.valid-schema"]),
    (
        "spec.required-exists",
        &["spec.config-fits", "compatible.spec-required"],
    ),
    (
        "spec.valid-schema",
        &[
            "spec.config-fits",
            "spec.arrays-have-items",
            "compatible.spec-types",
        ],
    ),
    ("write.counts", &["write.global-states", "write.garbage"]),
    ("write.new-column", &["rows.schema-changes"]),
    ("write.new-type", &["rows.schema-changes"]),
    (
        "write.states-come-back",
        &["write.counts", "write.global-states"],
    ),
    ("write.states-in-order", &["write.global-states"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_failed_by_a_connector_that_breaks_just_it() {
    let sources = [
        source_faults::RUN_AND_WIRE,
        source_faults::SPEC,
        source_faults::DISCOVER,
        source_faults::READ,
    ];
    let sources = sources.into_iter().flatten().map(|(rule, spoil)| {
        let suite = source::suite(*spoil);
        let never_ends = ["run.ends", "run.stops-when-told"].contains(rule);
        // How long the faulty run is waited for.
        let wait = Duration::from_millis(if never_ends { 300 } else { 60_000 });
        (*rule, suite.limits(|limits| limits.run = wait))
    });
    let destinations = destination_faults::all();
    let destinations = destinations.map(|(rule, fault)| (rule, destination::suite(fault)));

    let mut judged = JoinSet::new();
    let mut broken = BTreeSet::new();
    for (rule, suite) in sources.chain(destinations) {
        assert!(broken.insert(rule), "{rule} is broken twice");
        judged.spawn(async move { assert_fails(&suite.run().await, rule) });
    }
    judged.join_all().await;
    let unbroken: Vec<_> = rules()
        .map(|rule| rule.id)
        .filter(|id| !broken.contains(id))
        .collect();
    assert!(
        unbroken.is_empty(),
        "no faulty connector breaks {unbroken:?}"
    );
}

fn assert_fails(report: &Report, rule: &str) {
    let verdict = report.verdict(rule);
    assert!(
        matches!(verdict, Verdict::Failed(_)),
        "{rule} is {verdict:?} for the connector that breaks it\n{}",
        report.table()
    );
    let failed = report.rules.iter();
    let failed = failed.filter(|it| matches!(it.verdict, Verdict::Failed(_)));
    let others: BTreeSet<_> = failed
        .map(|it| it.rule.id)
        .filter(|id| *id != rule)
        .collect();
    let consequences = CONSEQUENCES.iter().find(|(it, _)| *it == rule);
    let expected: BTreeSet<_> = consequences
        .map_or(&[][..], |(_, it)| it)
        .iter()
        .copied()
        .collect();
    assert_eq!(
        others,
        expected,
        "what falls with {rule}\n{}",
        report.table()
    );
}

/// The page that compares the suite with others.
#[test]
fn the_documentation_knows_the_number_of_rules() {
    let of = |other: Need| rules().filter(|rule| !rule.needs.contains(&other)).count();
    let claim = format!(
        "| {} rules: {} a source can be judged by, {} a destination |",
        rules().count(),
        of(Need::Destination),
        of(Need::Source)
    );
    let page = include_str!("../../../docs/testing.md");
    assert!(page.contains(&claim), "{claim}");
}
