//! CombinedExtractor: the records of several extractors.

use std::sync::Arc;

use cdk_core::Result;
use serde_json::Value;

use crate::component::Component;
use crate::custom::Registry;
use crate::decoder::Decoder;
use crate::extract::{Extracted, Extractor, is_true};
use crate::requester::body::Body;
use crate::template::Scope;

/// Several extractors that look at the same answer.
#[derive(Debug)]
pub(crate) struct Combined {
    extractors: Vec<Extractor>,
    mode: Mode,
    skips_empty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All records of all extractors, one extractor after the other.
    Union,
    /// Those of the first extractor that finds some.
    FirstMatch,
}

/// What an extractor finds; `None` is an empty record that is left out, and counts for the size of the page.
pub(crate) type Found = Box<dyn Iterator<Item = Result<Option<Value>>> + Send>;

impl Combined {
    pub(crate) fn build(
        component: &Component<'_>,
        decoder: &Decoder,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        let extractors = component.children("extractors")?;
        if extractors.is_empty() {
            return Err(component.error("`extractors` must name at least one extractor."));
        }
        let extractors = extractors.iter();
        let extractors = extractors.map(|at| Extractor::build(at, decoder, scope, registry));
        Ok(Self {
            extractors: extractors.collect::<Result<_>>()?,
            mode: match component.text("mode")? {
                None | Some("union") => Mode::Union,
                Some("first_match") => Mode::FirstMatch,
                Some(other) => {
                    return Err(component.error(format!(
                        "`mode` must be `union` or `first_match`, not `{other}`."
                    )));
                }
            },
            skips_empty: component.flag("skip_empty_records", false)?,
        })
    }

    /// True when a page has records of several lists, so that their number is no offset of any.
    pub(crate) fn is_union(&self) -> bool {
        let mut inner = self.extractors.iter();
        self.mode == Mode::Union || inner.any(Extractor::is_union)
    }

    /// The records in a response's body.
    pub(crate) fn extract(self: &Arc<Self>, body: &Body) -> Result<Found> {
        match self.mode {
            Mode::Union => {
                let (this, body) = (Arc::clone(self), body.clone());
                let all = 0..this.extractors.len();
                Ok(Box::new(all.flat_map(move |at| {
                    this.of(at, &body)
                        .unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
                })))
            }
            Mode::FirstMatch => {
                for at in 0..self.extractors.len() {
                    let mut found = self.of(at, body)?;
                    let mut start = Vec::new();
                    for next in found.by_ref() {
                        let is_match = !matches!(next, Ok(None));
                        start.push(next);
                        if is_match {
                            return Ok(Box::new(start.into_iter().chain(found)));
                        }
                    }
                }
                Ok(Box::new(std::iter::empty()))
            }
        }
    }

    fn of(&self, at: usize, body: &Body) -> Result<Found> {
        let found = match self.extractors[at].extract(body)? {
            Extracted::Found(found) => found,
            other => Box::new(other.into_values().map(|value| value.map(Some))),
        };
        if !self.skips_empty {
            return Ok(found);
        }
        Ok(Box::new(
            found.map(|next| next.map(|value| value.filter(is_true))),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::PinnedClock;
    use bytes::Bytes;
    use serde_json::json;

    fn built(definition: &Value) -> Result<Extractor> {
        let clock = PinnedClock::new(0);
        let config = json!({});
        let component = Component::new(definition, "extractor").unwrap();
        let scope = Scope::new(&config, &clock);
        Extractor::build(&component, &Decoder::Json, &scope, &Registry::default())
    }

    fn combined(mode: &str, skips_empty: bool) -> Value {
        let path = |path: &str| json!({"type": "DpathExtractor", "field_path": [path]});
        json!({"type": "CombinedExtractor", "mode": mode, "skip_empty_records": skips_empty,
               "extractors": [path("a"), path("b")]})
    }

    /// The records, and how many there are with the empty ones that were left out.
    fn found(definition: &Value, body: &Value) -> (Vec<Value>, usize) {
        let body = Bytes::from(body.to_string()).into();
        let Extracted::Found(found) = built(definition).unwrap().extract(&body).unwrap() else {
            panic!("a combined extractor");
        };
        let all: Vec<_> = found.map(Result::unwrap).collect();
        let count = all.len();
        (all.into_iter().flatten().collect(), count)
    }

    #[test]
    fn a_union_has_all_records_in_the_order_of_extractors() {
        let body = json!({"a": [{"n": 1}, null], "b": [{"n": 2}]});
        let (records, count) = found(&combined("union", false), &body);
        assert_eq!(records, [json!({"n": 1}), json!(null), json!({"n": 2})]);
        assert_eq!(count, 3);
        let (records, count) = found(&combined("union", true), &body);
        assert_eq!(records, [json!({"n": 1}), json!({"n": 2})]);
        assert_eq!(count, 3);
    }

    #[test]
    fn the_first_match_is_the_first_extractor_with_a_record() {
        let mode = |skips_empty| combined("first_match", skips_empty);
        let both = json!({"a": [null, {"n": 1}], "b": [{"n": 2}]});
        assert_eq!(found(&mode(true), &both), (vec![json!({"n": 1})], 2));
        let second = json!({"a": [], "b": [{"n": 2}]});
        assert_eq!(found(&mode(false), &second), (vec![json!({"n": 2})], 1));
        let nulls = json!({"a": [null, {}], "b": [{"n": 2}]});
        assert_eq!(found(&mode(true), &nulls), (vec![json!({"n": 2})], 1));
        assert_eq!(
            found(&mode(false), &nulls),
            (vec![json!(null), json!({})], 2)
        );
        assert_eq!(found(&mode(true), &json!({})), (vec![], 0));
    }

    #[test]
    fn a_union_inside_makes_a_union() {
        assert!(built(&combined("union", false)).unwrap().is_union());
        let mut outer = combined("first_match", false);
        assert!(!built(&outer).unwrap().is_union());
        outer["extractors"][1] = combined("union", false);
        assert!(built(&outer).unwrap().is_union());
        outer["extractors"] = json!([]);
        let error = built(&outer).unwrap_err();
        assert!(error.message().contains("at least one"), "{error}");
    }
}
