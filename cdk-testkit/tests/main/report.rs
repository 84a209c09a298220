//! What the report looks like.

use cdk_testkit::suite::Verdict;
use serde_json::json;

use crate::source::{self, TOKEN};

#[tokio::test]
async fn a_broken_rule_shows_the_message_and_what_the_protocol_says() {
    let report = source::suite(|_, output| {
        output.edit_last("RECORD", |message| {
            message["record"]["data"]["text"] = json!(5)
        });
    });
    let report = report.run().await;
    let table = report.table();
    for part in [
        "FAILED   read.matches-schema",
        "run:      read (full refresh)",
        r#""data":{"text":5}"#,
        "protocol: Columns are made of the schema",
    ] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    let json = report.json();
    assert_eq!(json["conforms"], false);
    let rules = json["rules"].as_array().unwrap();
    let rule = rules
        .iter()
        .find(|rule| rule["id"] == "read.matches-schema")
        .unwrap();
    assert_eq!(rule["verdict"], "failed");
    assert!(rule["message"].as_str().unwrap().contains(r#""text":5"#));
    assert!(
        !table.contains("write."),
        "rules about destinations are not a source's"
    );
}

#[tokio::test]
async fn junit_counts_failures_and_escapes() {
    let report =
        source::suite(|_, output| output.lines.push("<no> \"message\" & \u{1}".to_owned()));
    let junit = report.run().await.junit();
    assert!(junit.starts_with("<?xml"), "{junit}");
    assert!(junit.contains("<failure message="), "{junit}");
    assert!(
        junit.contains("&lt;no&gt; &quot;message&quot; &amp; \u{fffd}"),
        "{junit}"
    );
    assert!(!junit.contains('\u{1}'), "{junit}");
}

#[tokio::test]
async fn secrets_are_masked_in_reports() {
    let report = source::suite(|_, output| {
        output.push(&json!({"type": "LOG", "log": {"level": "INFO", "message": TOKEN}}));
    });
    let report = report.run().await;
    assert!(!report.passed());
    for text in [report.table(), report.junit(), report.json().to_string()] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn an_excused_rule_shows_its_reason() {
    let suite = source::suite(|_, output| output.double("CATALOG"));
    let report = suite
        .excuse("discover.one-answer", "it likes to repeat itself")
        .run()
        .await;
    let Verdict::Skipped(why) = report.verdict("discover.one-answer") else {
        panic!("{}", report.table());
    };
    assert_eq!(why, "excused: it likes to repeat itself");
}

#[test]
#[should_panic(expected = "there is no rule read.nothing")]
fn an_excuse_names_a_rule() {
    let _ = source::suite(|_, _| {}).excuse("read.nothing", "because");
}
