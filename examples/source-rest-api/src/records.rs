//! Where the records of an answer are, when the config doesn't say.

use airbyte_protocol::codec;
use bytes::{Bytes, BytesMut};
use cdk_http::decode::{Decode, DecodeError, Decoder, Json, Records};

/// Members that hold the records in most APIs, the likeliest first.
const USUAL: [&str; 8] = [
    "data", "results", "items", "records", "value", "values", "entries", "rows",
];

/// JSON whose records are: the list that it is, or the one list of objects at its top (of several, the one with a usual
/// name or that of the stream), or itself.
#[derive(Debug, Clone)]
pub(crate) struct AutoJson {
    stream: String,
}

impl AutoJson {
    pub(crate) fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
        }
    }

    fn place<'a>(&self, members: &[(&'a str, &str)]) -> Option<&'a str> {
        let is_list = |value: &str| {
            let inner = value.strip_prefix('[').map(str::trim_start);
            inner.is_some_and(|inner| inner.starts_with('{') || inner.starts_with(']'))
        };
        let lists = members.iter().filter(|(_, value)| is_list(value));
        let lists: Vec<&'a str> = lists.map(|(key, _)| *key).collect();
        let names = std::iter::once(self.stream.as_str()).chain(USUAL);
        let mut named = names.filter_map(|name| lists.iter().find(|key| **key == name));
        match (named.next(), lists.as_slice()) {
            (Some(usual), _) => Some(usual),
            (None, [only]) => Some(only),
            _ => None,
        }
    }
}

impl Decoder for AutoJson {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        Box::new(AutoDecode {
            auto: self.clone(),
            content_type: content_type.map(str::to_owned),
            document: BytesMut::new(),
            json: None,
        })
    }
}

struct AutoDecode {
    auto: AutoJson,
    content_type: Option<String>,
    document: BytesMut,
    /// Known once the document is there.
    json: Option<Box<dyn Decode>>,
}

impl AutoDecode {
    fn path(&self) -> String {
        let text = std::str::from_utf8(&self.document).unwrap_or_default();
        if !text.trim_start().starts_with('{') {
            return String::new();
        }
        let fields: Vec<_> = codec::fields(text).filter_map(Result::ok).collect();
        let members: Vec<(&str, &str)> = fields
            .iter()
            .map(|(key, value)| (key.as_ref(), *value))
            .collect();
        self.auto.place(&members).unwrap_or_default().to_owned()
    }
}

impl Decode for AutoDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.document.extend_from_slice(&chunk);
        if is_end {
            let path = self.path();
            let steps = if path.is_empty() { vec![] } else { vec![path] };
            let mut json = Json::at_path(steps).start(self.content_type.as_deref());
            json.push(self.document.split().freeze(), true);
            self.json = Some(json);
        }
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        self.json.as_mut().map_or(Ok(None), |json| json.next())
    }

    fn envelope(&self) -> Option<&str> {
        self.json.as_ref()?.envelope()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_where_apis_put_them() {
        for (body, expected) in [
            (r#"[{"a":1}]"#, vec![r#"{"a":1}"#]),
            (r#"{"a":1}"#, vec![r#"{"a":1}"#]),
            (
                r#"{"data":[{"a":1}],"links":[{"b":1}]}"#,
                vec![r#"{"a":1}"#],
            ),
            (
                r#"{"data":[{"b":1}],"orders":[{"a":1}]}"#,
                vec![r#"{"a":1}"#],
            ),
            (
                r#"{"n":1,"whatever":[{"a":1}],"tags":["x"]}"#,
                vec![r#"{"a":1}"#],
            ),
            (r#"{"results":[]}"#, vec![]),
            ("", vec![]),
        ] {
            let mut decode = AutoJson::new("orders").start(None);
            decode.push(Bytes::from(body), true);
            let mut found = Vec::new();
            while let Some(records) = decode.next().unwrap() {
                found.extend(records.iter().unwrap().map(str::to_owned));
            }
            assert_eq!(found, expected, "{body}");
        }
    }
}
