//! What one request, over its pages, covers.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::request::text_of;
use crate::stream::Window;

/// What a value may hold in a path besides letters and digits.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A part of a stream: the children of one parent record, a span of time, or both.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// Values of the parent's record, and of its parent.
    pub(super) values: Map<String, Value>,
    pub(super) window: Option<Window>,
    /// Where to go on within the pages.
    pub(super) page: Option<Value>,
    /// Which window of which parent record this is, for streams that keep a time for each.
    pub(super) child: Option<(Arc<str>, usize)>,
}

impl Slice {
    /// A value of the parent's record, by the name it was given.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The span of time, for streams with a cursor.
    pub fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// `template` with each `{name}` replaced by the value of that name; `escapes` for a path.
    pub(super) fn render(&self, template: &str, escapes: bool) -> Result<String> {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            out.push_str(before);
            let Some(value) = self.values.get(name) else {
                return Err(ConnectorError::system(format!(
                    "`{{{name}}}` in {template:?} is no value of a parent record."
                )));
            };
            let text = text_of(value);
            if escapes {
                out.extend(utf8_percent_encode(&text, IN_PATH));
            } else {
                out.push_str(&text);
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_put_into_templates() {
        let mut slice = Slice::default();
        slice.values.insert("id".to_owned(), json!(7));
        slice.values.insert("name".to_owned(), json!("a/b ü"));
        assert_eq!(
            slice.render("/x/{id}/{name}", true).unwrap(),
            "/x/7/a%2Fb%20%C3%BC"
        );
        assert_eq!(slice.render("{name}", false).unwrap(), "a/b ü");
        assert_eq!(slice.render("{ open", false).unwrap(), "{ open");
        assert!(slice.render("/{unknown}", true).is_err());
    }
}
