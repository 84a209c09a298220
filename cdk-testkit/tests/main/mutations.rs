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

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_failed_by_a_connector_that_breaks_it() {
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
}
