//! Finds out what a line is, without building a tree and, for records, without allocating.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::{Cursor, StringSpan, Syntax};
use super::scan_error::{LineError, LineErrorKind};
use super::string::decode_str_lossy;
use crate::MessageType;
use crate::number::truncate;

/// What one line of a connector's output is.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// Only white space.
    Blank,
    /// A record.
    Record(RecordLine<'a>),
    /// Another message: its type and the whole line, for
    /// `serde_json::from_str::<AirbyteMessage>` or to be passed on as it is. Only the envelope
    /// has been checked.
    Message(MessageType, &'a str),
    /// No message: text for the log. Bytes that aren't UTF-8 became U+FFFD.
    Text(Cow<'a, str>),
}

/// A RECORD line; all texts are parts of the line.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordLine<'a> {
    /// Name of the stream.
    pub stream: Cow<'a, str>,
    /// Namespace of the stream.
    pub namespace: Option<Cow<'a, str>>,
    /// The record: the text of a JSON object, validated as the [module](super) says.
    pub data: &'a str,
    /// Milliseconds since the Unix epoch; the schema requires it, but records without it are
    /// readable all the same.
    pub emitted_at: Option<i64>,
    /// The text of the `meta` object.
    pub meta: Option<&'a str>,
    /// The text of the `file_reference` object.
    pub file_reference: Option<&'a str>,
}

impl RecordLine<'_> {
    /// Whether the record belongs to `stream`.
    #[must_use]
    pub fn is_of(&self, stream: &crate::StreamDescriptor) -> bool {
        self.stream == stream.name && self.namespace.as_deref() == stream.namespace.as_deref()
    }
}

/// Finds out what `line` (without its line break) is.
///
/// Keys may come in any order, null stands for absent, of duplicate keys the last wins, unknown
/// keys are skipped. A line that isn't a JSON object, or that has no known `type`, is
/// [`Line::Text`]; so is a broken message other than RECORD and STATE.
///
/// # Errors
/// When a RECORD or STATE message is broken, cut off or not UTF-8, or stands behind other output
/// on its line: handing it on as text would lose data.
pub fn scan(line: &[u8]) -> Result<Line<'_>, LineError> {
    let mut envelope = Envelope::default();
    if let Err(syntax) = envelope.read(line) {
        if line.trim_ascii().is_empty() {
            return Ok(Line::Blank);
        }
        if envelope.holds_data() {
            return Err(LineError::syntax(envelope.kind, syntax));
        }
        return text(line);
    }
    match envelope.kind {
        Some(kind) => message(line, kind, &envelope),
        None => text(line),
    }
}

/// A line that is one JSON object with a known type.
fn message<'a>(
    line: &'a [u8],
    kind: MessageType,
    envelope: &Envelope,
) -> Result<Line<'a>, LineError> {
    let must_not_be_lost = matches!(kind, MessageType::Record | MessageType::State);
    let failure = |offset, problem| LineError {
        message: Some(kind),
        offset,
        kind: problem,
    };
    let whole = match std::str::from_utf8(line) {
        Ok(whole) => whole,
        Err(error) if must_not_be_lost => {
            return Err(failure(error.valid_up_to(), LineErrorKind::NotUtf8));
        }
        Err(_) => return text(line),
    };
    if !envelope.has_body(kind) {
        if must_not_be_lost {
            return Err(failure(0, LineErrorKind::MissingField(kind.field())));
        }
        return text(line);
    }
    if kind == MessageType::Record {
        return envelope.record.finish(whole).map(Line::Record);
    }
    Ok(Line::Message(kind, whole))
}

/// The line as text, unless a message that must not be lost hides behind other output in it.
fn text(line: &[u8]) -> Result<Line<'_>, LineError> {
    /// More starts than this are not looked at, so that no line takes quadratic time.
    const MAX_STARTS: usize = 8;
    let starts = memchr::memmem::find_iter(line, br#"{"type""#);
    for offset in starts.filter(|at| *at > 0).take(MAX_STARTS) {
        let mut envelope = Envelope::default();
        let complete = envelope
            .read(line.get(offset..).unwrap_or_default())
            .is_ok();
        if complete && envelope.kind.is_some() && envelope.holds_data() {
            let kind = LineErrorKind::OutputBeforeMessage;
            return Err(LineError {
                message: envelope.kind,
                offset,
                kind,
            });
        }
    }
    Ok(Line::Text(String::from_utf8_lossy(line)))
}

/// What is known of a message's outermost object.
#[derive(Default)]
struct Envelope {
    kind: Option<MessageType>,
    /// A bit per message type whose body is there and an object.
    bodies: u16,
    record: RecordSpans,
}

impl Envelope {
    fn read(&mut self, line: &[u8]) -> Result<(), Syntax> {
        let mut cursor = Cursor::new(line);
        let mut more = cursor.enter_object()?;
        while more {
            self.member(&mut cursor)?;
            more = cursor.after_member()?;
        }
        cursor.end()
    }

    fn member(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        // What nearly all lines hold, without looking for the ends of the strings.
        if cursor.skip(br#""type":"RECORD""#) {
            self.kind = Some(MessageType::Record);
            return Ok(());
        }
        if cursor.skip(br#""record":"#) {
            return self.body(cursor, MessageType::Record);
        }
        let key = cursor.key()?;
        let name = decoded(cursor, &key);
        if &*name == b"type" {
            return self.read_kind(cursor);
        }
        match MessageType::of_field(&name) {
            Some(kind) => self.body(cursor, kind),
            None => cursor.value().map(drop),
        }
    }

    fn body(&mut self, cursor: &mut Cursor<'_>, kind: MessageType) -> Result<(), Syntax> {
        let bit = 1 << kind as u16;
        self.bodies &= !bit;
        if cursor.token() != Some(b'{') {
            return cursor.value().map(drop);
        }
        self.bodies |= bit;
        if kind == MessageType::Record {
            return self.record.read(cursor);
        }
        cursor.value().map(drop)
    }

    fn read_kind(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        self.kind = None;
        if cursor.token() != Some(b'"') {
            return cursor.value().map(drop);
        }
        let start = cursor.at + 1;
        let value = cursor.string().inspect_err(|end| {
            // Cut off inside the type: what is there may be the start of `RECORD` or `STATE`.
            let part = cursor.slice(start..end.offset);
            let data = [MessageType::Record, MessageType::State];
            self.kind = data
                .into_iter()
                .find(|kind| kind.as_str().as_bytes().starts_with(part));
        })?;
        let name = decoded(cursor, &value);
        self.kind = MessageType::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str().as_bytes() == &*name);
        Ok(())
    }

    fn has_body(&self, kind: MessageType) -> bool {
        self.bodies & (1 << kind as u16) != 0
    }

    /// Whether the line may hold data: by its type or, if that hasn't come, by its body.
    fn holds_data(&self) -> bool {
        match self.kind {
            Some(kind) => matches!(kind, MessageType::Record | MessageType::State),
            None => self.has_body(MessageType::Record) || self.has_body(MessageType::State),
        }
    }
}

/// The text of a string; as it is, with its backslashes, if the escapes are broken.
fn decoded<'a>(cursor: &Cursor<'a>, string: &StringSpan) -> Cow<'a, [u8]> {
    let raw = cursor.slice(string.content.clone());
    if !string.has_escapes {
        return Cow::Borrowed(raw);
    }
    let quoted = cursor.slice(string.content.start - 1..string.content.end + 1);
    let text = std::str::from_utf8(quoted)
        .ok()
        .and_then(|text| decode_str_lossy(text).ok());
    text.map_or(Cow::Borrowed(raw), |text| {
        Cow::Owned(text.into_owned().into_bytes())
    })
}

/// Where the values of a record's fields are in the line; `None` for absent and null.
#[derive(Default)]
struct RecordSpans {
    stream: Option<Range<usize>>,
    namespace: Option<Range<usize>>,
    data: Option<Range<usize>>,
    emitted_at: Option<Range<usize>>,
    meta: Option<Range<usize>>,
    file_reference: Option<Range<usize>>,
}

impl RecordSpans {
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        // A second body replaces the first as a whole.
        *self = Self::default();
        let mut more = cursor.enter_object()?;
        while more {
            let slot = self.next_slot(cursor)?;
            let null = cursor.token() == Some(b'n');
            let value = cursor.value()?;
            if let Some(slot) = slot {
                *slot = (!null).then_some(value);
            }
            more = cursor.after_member()?;
        }
        Ok(())
    }

    /// Moves over the next key; where to put its value, if the key is known.
    #[inline]
    fn next_slot(
        &mut self,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<&mut Option<Range<usize>>>, Syntax> {
        // As nearly all lines write them: no escapes, no white space.
        if cursor.skip(br#""stream":"#) {
            return Ok(Some(&mut self.stream));
        }
        if cursor.skip(br#""data":"#) {
            return Ok(Some(&mut self.data));
        }
        if cursor.skip(br#""emitted_at":"#) {
            return Ok(Some(&mut self.emitted_at));
        }
        if cursor.skip(br#""namespace":"#) {
            return Ok(Some(&mut self.namespace));
        }
        let key = cursor.key()?;
        Ok(Some(match &*decoded(cursor, &key) {
            b"stream" => &mut self.stream,
            b"namespace" => &mut self.namespace,
            b"data" => &mut self.data,
            b"emitted_at" => &mut self.emitted_at,
            b"meta" => &mut self.meta,
            b"file_reference" => &mut self.file_reference,
            _ => return Ok(None),
        }))
    }

    fn finish<'a>(&self, line: &'a str) -> Result<RecordLine<'a>, LineError> {
        let emitted_at = self
            .emitted_at
            .clone()
            .map(|span| time(line, span))
            .transpose()?;
        Ok(RecordLine {
            stream: required(string(line, &self.stream, "stream")?, "stream")?,
            namespace: string(line, &self.namespace, "namespace")?,
            data: required(object(line, &self.data, "data")?, "data")?,
            emitted_at,
            meta: object(line, &self.meta, "meta")?,
            file_reference: object(line, &self.file_reference, "file_reference")?,
        })
    }
}

fn failure(offset: usize, kind: LineErrorKind) -> LineError {
    LineError {
        message: Some(MessageType::Record),
        offset,
        kind,
    }
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, LineError> {
    value.ok_or_else(|| failure(0, LineErrorKind::MissingField(field)))
}

fn string<'a>(
    line: &'a str,
    span: &Option<Range<usize>>,
    field: &'static str,
) -> Result<Option<Cow<'a, str>>, LineError> {
    let Some(span) = span else { return Ok(None) };
    let text = line.get(span.clone()).unwrap_or_default();
    let wrong = |_| failure(span.start, LineErrorKind::WrongType(field, "a JSON string"));
    decode_str_lossy(text).map(Some).map_err(wrong)
}

fn object<'a>(
    line: &'a str,
    span: &Option<Range<usize>>,
    field: &'static str,
) -> Result<Option<&'a str>, LineError> {
    let Some(span) = span else { return Ok(None) };
    let text = line.get(span.clone()).unwrap_or_default();
    if text.starts_with('{') {
        return Ok(Some(text));
    }
    Err(failure(
        span.start,
        LineErrorKind::WrongType(field, "a JSON object"),
    ))
}

fn time(line: &str, span: Range<usize>) -> Result<i64, LineError> {
    let offset = span.start;
    let text = line.get(span).unwrap_or_default();
    let number = text.parse().ok().or_else(|| {
        let starts_like_a_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let float = starts_like_a_number.then(|| text.parse().ok())?;
        float.and_then(truncate)
    });
    let wrong = LineErrorKind::WrongType("emitted_at", "a 64-bit number of milliseconds");
    number.ok_or_else(|| failure(offset, wrong))
}
