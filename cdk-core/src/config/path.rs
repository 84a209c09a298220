//! Where in a config something is.

use std::fmt;

use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

/// A place in a config. Displays as `` `streams[0].name` ``, the root as `the config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The place that the validator found in `config`.
    pub(super) fn new(location: &Location, config: &Value) -> Self {
        let mut steps = Vec::new();
        let mut here = Some(config);
        for segment in location.segments() {
            // The validator's own distinction is by look: it takes an object's key "0" for an index.
            let name = segment.to_string();
            let step = match (segment, here) {
                (LocationSegment::Index(index), Some(Value::Array(_))) => Step::Index(index),
                _ => Step::Key(name),
            };
            here = here.and_then(|value| step.of(value));
            steps.push(step);
        }
        Self(steps)
    }

    /// The member `key` of the object at this path.
    #[must_use]
    pub(super) fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// The item `index` of the array at this path.
    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// Sorts paths in the order of `config`: what is missing comes behind everything beside it.
    pub(super) fn rank(&self, config: &Value) -> Vec<usize> {
        let mut here = Some(config);
        let ranks = self.0.iter().map(|step| {
            let position = match (step, here) {
                (Step::Index(index), Some(_)) => Some(*index),
                (Step::Key(key), Some(Value::Object(all))) => all.keys().position(|one| one == key),
                _ => None,
            };
            here = here.and_then(|value| step.of(value));
            position.unwrap_or(usize::MAX)
        });
        ranks.collect()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Key(key) => value.get(key),
            Self::Index(index) => value.get(index),
        }
    }
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let steps = path.iter().map_while(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            // An externally tagged variant is a key of the JSON.
            Segment::Enum { variant } => Some(Step::Key(variant.clone())),
            Segment::Unknown => None,
        });
        Self(steps.collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the config");
        }
        f.write_str("`")?;
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        f.write_str("`")
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_read_like_code() {
        let config = json!({"a": [{"b.c": {"0": [1]}}]});
        let location = Location::new()
            .join("a")
            .join(0)
            .join("b.c")
            .join("0")
            .join(0);
        let path = Path::new(&location, &config);
        assert_eq!(path.to_string(), "`a[0][\"b.c\"].0[0]`");
        assert_eq!(
            Path::new(&Location::new(), &config).to_string(),
            "the config"
        );
        assert_eq!(
            Path::new(&Location::new(), &config).key("x y").to_string(),
            "`[\"x y\"]`"
        );
    }
}
