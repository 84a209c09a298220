//! What the suite says in the end: a table, JSON, or JUnit XML.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::evidence::Evidence;
use super::rule::{Halt, Level, Need, OTHER_ROLE, Offence, Rule};
use super::rules;

/// What became of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It is broken.
    Failed(Offence),
    /// It does not apply or could not be judged, for this reason.
    Skipped(String),
}

/// A rule with its verdict.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The rule.
    pub rule: &'static Rule,
    /// What became of it.
    pub verdict: Verdict,
}

impl Judged {
    /// Whether the connector does not conform because of it.
    pub fn is_failure(&self) -> bool {
        self.rule.level == Level::Must && matches!(self.verdict, Verdict::Failed(_))
    }

    /// Whether users will notice, but no more.
    pub fn is_warning(&self) -> bool {
        self.rule.level == Level::Should && matches!(self.verdict, Verdict::Failed(_))
    }

    /// Whether the rule is not about connectors of this kind at all.
    fn is_of_other_role(&self) -> bool {
        let needs_role = |need: &Need| matches!(need, Need::Source | Need::Destination);
        matches!(&self.verdict, Verdict::Skipped(why)
            if self.rule.needs.iter().any(needs_role) && OTHER_ROLE.contains(&why.as_str()))
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) if self.is_warning() => "warning",
            Verdict::Failed(_) => "FAILED",
            Verdict::Skipped(_) => "skipped",
        }
    }
}

/// The outcome of the suite.
#[derive(Debug, Clone)]
pub struct Report {
    /// The connector.
    pub connector: String,
    /// Every rule, in order.
    pub rules: Vec<Judged>,
    /// How many runs of the connector it took.
    pub runs: usize,
    /// How long it took.
    pub took: Duration,
}

/// How much of an offending line is shown.
const SHOWN: usize = 2000;

impl Report {
    pub(super) fn new(connector: String, evidence: &Evidence, took: Duration) -> Self {
        let judge = |rule: &'static Rule| Judged {
            rule,
            verdict: verdict(rule, evidence),
        };
        Self {
            connector,
            rules: rules::all().map(judge).collect(),
            runs: evidence.runs.len(),
            took,
        }
    }

    /// Whether no rule that must hold is broken.
    pub fn passed(&self) -> bool {
        !self.rules.iter().any(Judged::is_failure)
    }

    /// Whether no rule at all is broken.
    pub fn is_clean(&self) -> bool {
        self.passed() && !self.rules.iter().any(Judged::is_warning)
    }

    /// The verdict about a rule.
    ///
    /// # Panics
    /// If there is no such rule.
    pub fn verdict(&self, rule: &str) -> &Verdict {
        let judged = self.rules.iter().find(|judged| judged.rule.id == rule);
        let judged = judged.unwrap_or_else(|| panic!("there is no rule {rule}"));
        &judged.verdict
    }

    /// Does nothing if the connector conforms.
    ///
    /// # Panics
    /// With the table, if a rule that must hold is broken.
    pub fn assert_passed(&self) {
        assert!(self.passed(), "\n{}", self.table());
    }

    /// How many passed, failed, are warnings, were skipped; of those about connectors of this kind.
    fn counts(&self) -> [usize; 4] {
        let rules = self.rules.iter().filter(|it| !it.is_of_other_role());
        ["passed", "FAILED", "warning", "skipped"]
            .map(|word| rules.clone().filter(|it| it.word() == word).count())
    }

    /// One line: how many rules passed, failed and were skipped.
    pub fn summary(&self) -> String {
        let [passed, failed, warnings, skipped] = self.counts();
        let (runs, seconds) = (self.runs, self.took.as_secs_f64());
        format!(
            "{}: {passed} rules passed, {failed} failed, {warnings} warnings, {skipped} skipped \
             ({runs} runs, {seconds:.1} s)",
            self.connector
        )
    }

    /// For people: a line per rule, and what is broken in full.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let width = self
            .rules
            .iter()
            .map(|it| it.rule.id.len())
            .max()
            .unwrap_or_default();
        let shown = self.rules.iter().filter(|it| !it.is_of_other_role());
        for judged in shown {
            let (word, id) = (judged.word(), judged.rule.id);
            let note = match &judged.verdict {
                Verdict::Skipped(why) => why,
                _ => judged.rule.title,
            };
            let _ = writeln!(text, "{word:7}  {id:width$}  {note}");
        }
        for judged in &self.rules {
            if let Verdict::Failed(offence) = &judged.verdict {
                text.push('\n');
                text.push_str(&details(judged, offence));
            }
        }
        let _ = writeln!(text, "\n{}", self.summary());
        text
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let rules = self.rules.iter().filter(|it| !it.is_of_other_role());
        let rules = rules.map(|judged| {
            let rule = judged.rule;
            let mut value = json!({
                "id": rule.id,
                "title": rule.title,
                "level": match rule.level { Level::Must => "must", Level::Should => "should" },
                "verdict": judged.word().to_lowercase(),
            });
            match &judged.verdict {
                Verdict::Passed => {}
                Verdict::Skipped(why) => value["reason"] = json!(why),
                Verdict::Failed(offence) => {
                    value["protocol"] = json!(rule.protocol);
                    value["what"] = json!(offence.what);
                    value["run"] = json!(offence.run);
                    let line = offence.line.as_ref();
                    value["line"] = json!(line.map(|(number, _)| number));
                    value["message"] = json!(line.map(|(_, text)| text));
                }
            }
            value
        });
        let [passed, failed, warnings, skipped] = self.counts();
        json!({
            "connector": self.connector,
            "conforms": self.passed(),
            "passed": passed, "failed": failed, "warnings": warnings, "skipped": skipped,
            "runs": self.runs,
            "seconds": self.took.as_secs_f64(),
            "rules": rules.collect::<Vec<_>>(),
        })
    }

    /// For continuous integration. Warnings count as passed, and say so in `system-out`.
    pub fn junit(&self) -> String {
        let rules: Vec<_> = self
            .rules
            .iter()
            .filter(|it| !it.is_of_other_role())
            .collect();
        let failures = rules.iter().filter(|it| it.is_failure()).count();
        let [.., skipped] = self.counts();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            text,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{:.3}\">",
            xml(&self.connector),
            rules.len(),
            self.took.as_secs_f64()
        );
        for judged in rules {
            let rule = judged.rule;
            let group = rule.id.split('.').next().unwrap_or_default();
            let _ = write!(
                text,
                "  <testcase classname=\"{group}\" name=\"{}\"",
                rule.id
            );
            match &judged.verdict {
                Verdict::Passed => text.push_str("/>\n"),
                Verdict::Skipped(why) => {
                    let _ = writeln!(text, "><skipped message=\"{}\"/></testcase>", xml(why));
                }
                Verdict::Failed(offence) => {
                    let details = xml(&details(judged, offence));
                    let inner = if judged.is_failure() {
                        format!(
                            "<failure message=\"{}\">{details}</failure>",
                            xml(&offence.what)
                        )
                    } else {
                        format!("<system-out>{details}</system-out>")
                    };
                    let _ = writeln!(text, ">{inner}</testcase>");
                }
            }
        }
        text.push_str("</testsuite>\n");
        text
    }
}

fn verdict(rule: &Rule, evidence: &Evidence) -> Verdict {
    if let Some(reason) = evidence.plan.excuses.get(rule.id) {
        return Verdict::Skipped(format!("excused: {reason}"));
    }
    if let Some(why) = rule.needs.iter().find_map(|need| need.unmet(evidence)) {
        return Verdict::Skipped(why.to_owned());
    }
    match (rule.check)(evidence) {
        Ok(()) => Verdict::Passed,
        Err(Halt::Skip(why)) => Verdict::Skipped(why),
        Err(Halt::Broken(offence)) => Verdict::Failed(masked(*offence, evidence)),
    }
}

/// What is shown may hold secrets: the connector is on trial, not trusted.
fn masked(offence: Offence, evidence: &Evidence) -> Offence {
    let mask = |text: &str| {
        let text = evidence.mask(text);
        let end = text.char_indices().map(|(at, _)| at).nth(SHOWN);
        end.map_or(text.clone(), |end| format!("{}…", &text[..end]))
    };
    Offence {
        what: mask(&offence.what),
        run: offence.run,
        line: offence.line.map(|(number, text)| (number, mask(&text))),
    }
}

fn details(judged: &Judged, offence: &Offence) -> String {
    let rule = judged.rule;
    let mut text = format!("{} {}: {}\n", judged.word(), rule.id, rule.title);
    let _ = writeln!(text, "  what:     {}", offence.what);
    if let Some(run) = &offence.run {
        let _ = writeln!(text, "  run:      {run}");
    }
    if let Some((number, line)) = &offence.line {
        let _ = writeln!(text, "  line {number}:  {line}");
    }
    let _ = writeln!(text, "  protocol: {}", rule.protocol);
    text
}

/// Text for XML; control characters, which XML can't hold, are replaced.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            it if it.is_control() && it != '\t' => escaped.push('\u{fffd}'),
            it => escaped.push(it),
        }
    }
    escaped
}
