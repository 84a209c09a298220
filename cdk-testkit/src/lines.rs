//! A stream as a platform configures it, and the lines that it writes to a destination for that stream.
//!
//! All of it is plain JSON, so that a test can change any part of it, or break it.

use serde_json::{Map, Value, json};

/// A stream of the configured catalog.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// The stream's name.
    pub name: String,
    /// The stream's namespace.
    pub namespace: Option<String>,
    /// The `properties` of the stream's JSON schema.
    pub properties: Value,
    /// The destination's sync mode, as on the wire. The source's is `incremental`.
    pub mode: String,
    /// The fields of the primary key, all at the top level.
    pub key: Vec<String>,
    /// The cursor field, at the top level.
    pub cursor: Option<String>,
    /// Generation and minimum generation.
    pub generation: Option<(i64, i64)>,
}

impl StreamSpec {
    /// A stream without namespace, key, cursor and generation.
    pub fn new(name: &str, mode: &str, properties: Value) -> Self {
        Self {
            name: name.to_owned(),
            namespace: None,
            properties,
            mode: mode.to_owned(),
            key: Vec::new(),
            cursor: None,
            generation: None,
        }
    }

    /// The same with a primary key.
    pub fn key(mut self, fields: &[&str]) -> Self {
        self.key = fields.iter().map(ToString::to_string).collect();
        self
    }

    /// The same with a cursor.
    pub fn cursor(mut self, field: &str) -> Self {
        self.cursor = Some(field.to_owned());
        self
    }

    /// The same as part of a generation, of a sync that keeps the generations from `minimum` on.
    pub fn generation(mut self, id: i64, minimum: i64) -> Self {
        self.generation = Some((id, minimum));
        self
    }

    /// The configured catalog of these streams.
    pub fn catalog(streams: &[&Self]) -> Value {
        let streams: Vec<_> = streams.iter().map(|stream| stream.configured()).collect();
        json!({ "streams": streams })
    }

    /// The stream's entry in the configured catalog, with sync id 7.
    pub fn configured(&self) -> Value {
        let key: Vec<_> = self.key.iter().map(|field| [field]).collect();
        let mut stream = self.descriptor();
        stream["json_schema"] = json!({"type": "object", "properties": self.properties});
        stream["supported_sync_modes"] = json!(["full_refresh", "incremental"]);
        let mut configured = json!({
            "stream": stream,
            "sync_mode": "incremental",
            "destination_sync_mode": self.mode,
            "primary_key": key,
            "cursor_field": self.cursor.as_slice(),
            "sync_id": 7,
        });
        if let Some((id, minimum)) = self.generation {
            configured["generation_id"] = json!(id);
            configured["minimum_generation_id"] = json!(minimum);
        }
        configured
    }

    /// A record read at `emitted_at`, in milliseconds since the Unix epoch.
    pub fn record(&self, emitted_at: i64, data: Value) -> Value {
        let mut record = Map::new();
        record.insert("stream".to_owned(), json!(self.name));
        if let Some(namespace) = &self.namespace {
            record.insert("namespace".to_owned(), json!(namespace));
        }
        record.insert("data".to_owned(), data);
        record.insert("emitted_at".to_owned(), json!(emitted_at));
        json!({"type": "RECORD", "record": record})
    }

    /// The state `{"id": id}`.
    pub fn state(&self, id: i64) -> Value {
        json!({"type": "STATE", "state": {"type": "STREAM", "stream": {
            "stream_descriptor": self.descriptor(), "stream_state": {"id": id}}}})
    }

    /// A stream status: `STARTED`, `RUNNING`, `COMPLETE` or `INCOMPLETE`.
    pub fn status(&self, status: &str) -> Value {
        json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 0.0,
            "stream_status": {"stream_descriptor": self.descriptor(), "status": status}}})
    }

    /// The status that says that all of the stream has been read.
    pub fn complete(&self) -> Value {
        self.status("COMPLETE")
    }

    fn descriptor(&self) -> Value {
        match &self.namespace {
            Some(namespace) => json!({"name": self.name, "namespace": namespace}),
            None => json!({"name": self.name}),
        }
    }
}
