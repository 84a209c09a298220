//! Writes records from parts that are computed once per stream and once per time stamp.

use crate::StreamDescriptor;

const PREFIX: &str = r#"{"type":"RECORD","record":{"#;
const EMITTED_AT: &[u8] = br#","emitted_at":"#;
const META: &[u8] = br#","meta":"#;
const END: &[u8] = b"}}\n";

/// Everything of a stream's RECORD line before the record data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordEnvelope {
    prefix: Box<[u8]>,
}

impl RecordEnvelope {
    /// The envelope of `stream`.
    #[must_use]
    pub fn new(stream: &StreamDescriptor) -> Self {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut prefix = PREFIX.to_owned();
        if let Some(namespace) = &stream.namespace {
            prefix.push_str("\"namespace\":");
            prefix.push_str(&quoted(namespace));
            prefix.push(',');
        }
        prefix.push_str("\"stream\":");
        prefix.push_str(&quoted(&stream.name));
        prefix.push_str(",\"data\":");
        Self {
            prefix: prefix.into_bytes().into_boxed_slice(),
        }
    }

    /// The envelope with a time, in milliseconds since the Unix epoch. Cheap enough per record,
    /// cheaper when one stamp serves a batch.
    #[must_use]
    pub fn stamp(&self, emitted_at: i64) -> StampedEnvelope<'_> {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(emitted_at).as_bytes();
        let mut time = [0; TIME_BYTES];
        let time_len = EMITTED_AT.len() + digits.len();
        let parts = EMITTED_AT.iter().chain(digits).chain(END);
        time.iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = *from);
        StampedEnvelope {
            prefix: &self.prefix,
            time,
            time_len,
        }
    }
}

/// The longest 64-bit number has 20 characters.
const TIME_BYTES: usize = EMITTED_AT.len() + 20 + END.len();

/// A [`RecordEnvelope`] with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampedEnvelope<'a> {
    prefix: &'a [u8],
    /// The time's member, then the end of the line.
    time: [u8; TIME_BYTES],
    time_len: usize,
}

impl StampedEnvelope<'_> {
    /// Appends one RECORD line to `out`. `data` is the record: the text of a JSON object on one
    /// line, in UTF-8. It is copied as it is; only debug builds check it for line breaks.
    pub fn write(&self, out: &mut Vec<u8>, data: &[u8]) {
        debug_assert_one_line(data);
        let tail = self
            .time
            .get(..self.time_len + END.len())
            .unwrap_or_default();
        out.reserve(self.prefix.len() + data.len() + tail.len());
        out.extend_from_slice(self.prefix);
        out.extend_from_slice(data);
        out.extend_from_slice(tail);
    }

    /// Like [`write`](Self::write), with `meta`: the text of the JSON object for the record's
    /// `meta` field, on one line.
    pub fn write_with_meta(&self, out: &mut Vec<u8>, data: &[u8], meta: &str) {
        debug_assert_one_line(data);
        debug_assert_one_line(meta.as_bytes());
        out.extend_from_slice(self.prefix);
        out.extend_from_slice(data);
        out.extend_from_slice(self.time.get(..self.time_len).unwrap_or_default());
        out.extend_from_slice(META);
        out.extend_from_slice(meta.as_bytes());
        out.extend_from_slice(END);
    }

    /// The bytes that a line takes besides its data (without `meta`).
    #[must_use]
    pub fn overhead_bytes(&self) -> usize {
        self.prefix.len() + self.time_len + END.len()
    }
}

fn debug_assert_one_line(json: &[u8]) {
    debug_assert!(
        memchr::memchr(b'\n', json).is_none(),
        "a record must be on one line; write its JSON without line breaks"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AirbyteMessage;

    #[test]
    fn lines_equal_the_typed_messages() {
        let stream = StreamDescriptor::new("a \"b\"\n").with_namespace("né");
        let envelope = RecordEnvelope::new(&stream);
        for time in [0, -1, i64::MIN, i64::MAX, 1_735_689_600_000] {
            let mut line = Vec::new();
            envelope.stamp(time).write(&mut line, br#"{"id":1.10}"#);
            let message: AirbyteMessage = serde_json::from_slice(&line).unwrap();
            let mut typed = Vec::new();
            message.to_line(&mut typed);
            assert_eq!(typed, line);
            assert_eq!(line.len(), envelope.stamp(time).overhead_bytes() + 11);
        }
    }

    #[test]
    fn meta_follows_the_time() {
        let mut line = Vec::new();
        let envelope = RecordEnvelope::new(&StreamDescriptor::new("a"));
        envelope
            .stamp(5)
            .write_with_meta(&mut line, b"{}", r#"{"changes":[]}"#);
        let record = r#"{"stream":"a","data":{},"emitted_at":5,"meta":{"changes":[]}}"#;
        assert_eq!(
            line,
            format!("{{\"type\":\"RECORD\",\"record\":{record}}}\n").into_bytes()
        );
    }
}
