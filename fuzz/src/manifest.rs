//! What must hold for any manifest and any template. The fuzz targets and `cdk-declarative`'s own tests (over the
//! checked-in corpus) run the same functions.

use cdk_core::FixedClock;
use cdk_declarative::manifest::{Finding, Manifest, Severity};
use cdk_declarative::python::{literal_eval, python_repr};
use cdk_declarative::template::{Scope, Template};
use cdk_declarative::time::{Format, Moment, Span, parse_airbyte, parse_iso};
use cdk_declarative::yaml;
use serde_json::{Value, json};

/// Loads `input` as a manifest, and shows what is wrong with it.
///
/// # Panics
/// When a manifest is refused without an error being found in it, or the other way round.
pub fn check_manifest(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let findings = Manifest::inspect(text);
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    let refused = Manifest::from_yaml(text).err();
    assert_eq!(
        refused.is_some(),
        findings.iter().any(is_error),
        "{refused:?} {findings:?}"
    );
    if let Ok(manifest) = Manifest::parse(text) {
        for finding in findings {
            let _ = manifest.place(&finding.path);
        }
    }
    let _ = yaml::load(text);
}

/// Evaluates `input` as a template over values of all types, and reads it as a literal, a date and a duration.
///
/// # Panics
/// When a literal is not read back from how Python writes it, or a date from its own format.
pub fn check_template(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let config = json!({"a": 1, "b": [1.5, null, true, "x"], "c": {"d": "2024-01-01", "e": -7}, "t": "it's"});
    let clock = FixedClock::new(1_718_452_800_123);
    let scope = Scope::new(&config, &clock);
    // Any outcome is right, as long as it is one.
    let _ = Template::compile(text).eval(&scope);
    if let Some(literal) = literal_eval(text) {
        let value: Value = literal.into_json();
        let again = literal_eval(&python_repr(&value)).map(|literal| literal.into_json());
        assert_eq!(again, Some(value));
    }
    let _ = Span::parse(text).map(|span| span.after_us(0));
    let _ = parse_airbyte(text);
    let _ = Format::new(text).parse("2024-01-01T00:00:00Z");
    if let Some(moment) = parse_iso(text) {
        check_moment(&moment);
        let _ = Format::new(text).format(&moment);
    }
}

/// A format with the whole of a moment reads what it wrote.
fn check_moment(moment: &Moment) {
    let format = Format::new("%Y-%m-%dT%H:%M:%S.%f%z");
    // `%z` writes nothing for a moment without an offset, which it can't read back; UTC is meant.
    let written = format.format(&moment.or_utc());
    // Python writes years below 1000 without leading zeros and can't read them back either.
    if written.find('-') == Some(4) {
        assert_eq!(
            format.parse(&written).map(|again| again.us()),
            Ok(moment.us()),
            "{written}"
        );
    }
}
