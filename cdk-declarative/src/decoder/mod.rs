//! Decoders: what a response's bytes are, as documents that extractors look into.

mod csv;
mod json;
mod xml;

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomDecoder, Registry};

pub(crate) use json::JsonItems;

/// How a response body is read.
#[derive(Clone)]
pub(crate) enum Decoder {
    /// One JSON document; a list stands for its items.
    Json,
    /// One JSON document a line.
    JsonLines { encoding: Encoding },
    /// The items of one array inside a document.
    JsonItems(JsonItems),
    /// Each line is a record.
    Lines,
    /// A header row, then rows.
    Csv(csv::CsvDecoder),
    /// One XML document.
    Xml,
    /// Compressed, or not if it turns out so.
    Gzip(Box<Decoder>),
    /// An archive of files.
    Zip(Box<Decoder>),
    /// A component of the embedding program.
    Custom(Arc<dyn CustomDecoder>),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A body as documents.
pub(crate) enum Documents {
    /// The text of one JSON document that a slice of it may be taken of; not checked yet.
    Text(Bytes),
    /// Documents one by one.
    Each(Box<dyn Iterator<Item = Result<Value>> + Send>),
}

impl Decoder {
    pub(crate) fn build(component: Option<&Component<'_>>, registry: &Registry) -> Result<Self> {
        let Some(component) = component else {
            return Ok(Self::Json);
        };
        let inner = |key| Self::build(component.child(key)?.as_ref(), registry).map(Box::new);
        Ok(match component.kind() {
            "JsonDecoder" => Self::Json,
            "JsonlDecoder" => Self::JsonLines {
                encoding: Encoding::of(component)?,
            },
            "JsonItemsDecoder" => Self::JsonItems(JsonItems::build(component)?),
            "IterableDecoder" => Self::Lines,
            "CsvDecoder" => Self::Csv(csv::CsvDecoder::build(component)?),
            "XmlDecoder" => Self::Xml,
            "GzipDecoder" => Self::Gzip(inner("decoder")?),
            "ZipfileDecoder" => Self::Zip(inner("decoder")?),
            "CustomDecoder" => Self::Custom(registry.decoder(component)?),
            other => {
                return Err(component.error(format!(
                    "`{other}` is no decoder. Use JsonDecoder, JsonlDecoder, JsonItemsDecoder, \
                     IterableDecoder, CsvDecoder, XmlDecoder, GzipDecoder or ZipfileDecoder."
                )));
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Json => "JsonDecoder",
            Self::JsonLines { .. } => "JsonlDecoder",
            Self::JsonItems(_) => "JsonItemsDecoder",
            Self::Lines => "IterableDecoder",
            Self::Csv(_) => "CsvDecoder",
            Self::Xml => "XmlDecoder",
            Self::Gzip(_) => "GzipDecoder",
            Self::Zip(_) => "ZipfileDecoder",
            Self::Custom(_) => "CustomDecoder",
        }
    }

    /// True when a paginator may look into what it decodes.
    pub(crate) fn is_for_pagination(&self) -> bool {
        match self {
            Self::Json | Self::Xml | Self::Custom(_) => true,
            Self::Gzip(inner) | Self::Zip(inner) => inner.is_for_pagination(),
            _ => false,
        }
    }

    /// Decodes a body.
    pub(crate) fn decode(&self, body: Bytes) -> Result<Documents> {
        Ok(match self {
            Self::Json => Documents::Text(body),
            Self::JsonLines { encoding } => json::lines(body, encoding),
            Self::JsonItems(items) => items.decode(&body)?,
            Self::Lines => Documents::each(lines_of(body).map(|line| {
                let line = String::from_utf8_lossy(&line).into_owned();
                Ok(serde_json::json!({ "record": line }))
            })),
            Self::Csv(decoder) => decoder.decode(&body)?,
            Self::Xml => Documents::each(std::iter::once(Ok(xml::decode(&body)))),
            Self::Gzip(inner) => inner.decode(gunzip(body)?)?,
            Self::Zip(inner) => unzip(inner, &body)?,
            Self::Custom(custom) => Documents::each(custom.decode(body)?.into_iter().map(Ok)),
        })
    }

    /// The first document, which is what pagination sees; `{}` when there is none.
    pub(crate) fn first(&self, body: Bytes) -> Result<Value> {
        match self.decode(body)? {
            // Whoever takes records out of the body tells of one that is no JSON.
            Documents::Text(text) => Ok(json::documents(&text, |_| {})
                .into_iter()
                .next()
                .unwrap_or_else(empty)),
            Documents::Each(mut each) => each.next().unwrap_or_else(|| Ok(empty())),
        }
    }
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Documents {
    fn each(items: impl Iterator<Item = Result<Value>> + Send + 'static) -> Self {
        Self::Each(Box::new(items))
    }

    /// All documents as trees. `place` is who reads them, for the log.
    pub(crate) fn into_values(self, place: &str) -> Box<dyn Iterator<Item = Result<Value>> + Send> {
        let no_json = |error: &serde_json::Error| {
            tracing::error!(
                "A response is not valid JSON (line {}, column {}); {place} reads it as an empty object. Look at the answer \
                 with `cdk manifest test-read`, then correct the URL or the `decoder`.",
                error.line(),
                error.column()
            );
        };
        match self {
            Self::Text(text) => Box::new(json::documents(&text, no_json).into_iter().map(Ok)),
            Self::Each(each) => each,
        }
    }
}

/// Lines without their ends.
fn lines_of(body: Bytes) -> impl Iterator<Item = Bytes> + Send {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', &rest).map_or(rest.len(), |at| at + 1);
        let mut line = rest.split_to(end);
        while let Some(b'\n' | b'\r') = line.last() {
            line.truncate(line.len() - 1);
        }
        Some(line)
    })
}

fn gunzip(body: Bytes) -> Result<Bytes> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(body.as_ref())
        .read_to_end(&mut plain)
        .system_error("A response that should be gzip could not be decompressed.")?;
    Ok(Bytes::from(plain))
}

fn unzip(inner: &Decoder, body: &Bytes) -> Result<Documents> {
    let broken = "A response that should be a ZIP archive could not be read.";
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(body.clone())).system_error(broken)?;
    let mut all = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).system_error(broken)?;
        if file.is_dir() {
            continue;
        }
        let mut plain = Vec::new();
        file.read_to_end(&mut plain).system_error(broken)?;
        all.push(inner.decode(Bytes::from(plain))?);
    }
    Ok(Documents::each(all.into_iter().flat_map(|documents| {
        documents.into_values("a ZipfileDecoder")
    })))
}

/// A text encoding by its Python name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    pub(crate) fn of(component: &Component<'_>) -> Result<Self> {
        let name = component.text("encoding")?.unwrap_or("utf-8");
        let label = match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8-sig" | "utf8" => "utf-8".to_owned(),
            "latin-1" | "latin1" => "iso-8859-1".to_owned(),
            other => other.to_owned(),
        };
        let found = encoding_rs::Encoding::for_label(label.as_bytes());
        let found = found.ok_or_else(|| {
            component.error(format!("The encoding `{name}` is not known. Try utf-8."))
        })?;
        Ok(Self(found))
    }

    /// The text; bytes that do not fit become replacement characters.
    pub(crate) fn text(self, bytes: &[u8]) -> Cow<'_, str> {
        self.0.decode(bytes).0
    }
}

pub(crate) fn wrong_shape(what: &str) -> ConnectorError {
    ConnectorError::system(what)
}
