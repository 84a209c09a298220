//! Decoders: what a response's bytes are, as documents that extractors look into.

mod json;
mod stream;
mod xml;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomDecoder, Registry};
use crate::requester::body::{Body, MAX_WHOLE};

use stream::Streamed;

/// How a response body is read.
#[derive(Clone)]
pub(crate) enum Decoder {
    /// One JSON document; a list stands for its items.
    Json,
    /// A format whose records are found one after the other, by its name in manifests.
    Streamed(&'static str, Streamed),
    /// One XML document.
    Xml,
    /// Documents that are compressed, or not if it turns out so.
    Gzip(Box<Decoder>),
    /// An archive of documents.
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
        let inner = || Self::build(component.child("decoder")?.as_ref(), registry);
        let streamed = |name| move |streamed| Self::Streamed(name, streamed);
        Ok(match component.kind() {
            "JsonDecoder" => Self::Json,
            "JsonlDecoder" => Streamed::json_lines(component).map(streamed("JsonlDecoder"))?,
            "JsonItemsDecoder" => {
                Streamed::json_items(component).map(streamed("JsonItemsDecoder"))?
            }
            "IterableDecoder" => Self::Streamed("IterableDecoder", Streamed::lines()),
            "CsvDecoder" => Streamed::csv(component).map(streamed("CsvDecoder"))?,
            "XmlDecoder" => Self::Xml,
            "GzipDecoder" => match inner()? {
                Self::Streamed(_, inner) => Self::Streamed("GzipDecoder", inner.gzip()),
                inner => Self::Gzip(Box::new(inner)),
            },
            "ZipfileDecoder" => match inner()? {
                Self::Streamed(_, inner) => Self::Streamed("ZipfileDecoder", inner.zip()),
                inner => Self::Zip(Box::new(inner)),
            },
            "CustomDecoder" => Self::Custom(registry.decoder(component)?),
            other => {
                return Err(component.error(format!(
                    "`{other}` is no decoder. Use JsonDecoder, JsonlDecoder, JsonItemsDecoder, \
                     IterableDecoder, CsvDecoder, XmlDecoder, GzipDecoder or ZipfileDecoder."
                )));
            }
        })
    }

    /// The rows of a CSV file, compressed or not. What pandas reads as missing is null; with `keeps_na` only empty cells
    /// are.
    pub(crate) fn file(keeps_na: bool) -> Self {
        Self::Streamed("CsvDecoder", Streamed::file(keeps_na))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Json => "JsonDecoder",
            Self::Streamed(name, _) => name,
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
    pub(crate) fn decode(&self, body: &Body) -> Result<Documents> {
        match self {
            Self::Streamed(_, streamed) => Ok(Documents::each(streamed.records(body))),
            whole => whole.decode_whole(body.whole()?),
        }
    }

    fn decode_whole(&self, body: Bytes) -> Result<Documents> {
        Ok(match self {
            Self::Json => Documents::Text(body),
            Self::Streamed(_, streamed) => Documents::each(streamed.records(&body.into())),
            Self::Xml => Documents::each(std::iter::once(Ok(xml::decode(&body)))),
            Self::Gzip(inner) => inner.decode_whole(gunzip(body)?)?,
            Self::Zip(inner) => unzip(inner, &body)?,
            Self::Custom(custom) => Documents::each(custom.decode(body)?.into_iter().map(Ok)),
        })
    }

    /// The first document, which is what pagination sees; `{}` when there is none.
    pub(crate) fn first(&self, body: &Body) -> Result<Value> {
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

fn gunzip(body: Bytes) -> Result<Bytes> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    unpacked(
        flate2::read::MultiGzDecoder::new(body.as_ref()),
        MAX_WHOLE,
        "A response that should be gzip could not be decompressed.",
    )
}

/// All that `packed` holds, if it is not longer than `limit`.
fn unpacked(packed: impl Read, limit: u64, broken: &'static str) -> Result<Bytes> {
    let mut plain = Vec::new();
    packed
        .take(limit.saturating_add(1))
        .read_to_end(&mut plain)
        .system_error(broken)?;
    if plain.len() as u64 > limit {
        return Err(ConnectorError::system(format!(
            "A response unpacks to more than {} MB, which is too much for its decoder: it needs all of it at once. Ask for \
             smaller pages, or use JsonItemsDecoder, JsonlDecoder or CsvDecoder inside.",
            MAX_WHOLE / 1_000_000
        )));
    }
    Ok(Bytes::from(plain))
}

fn unzip(inner: &Decoder, body: &Bytes) -> Result<Documents> {
    let broken = "A response that should be a ZIP archive could not be read.";
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(body.clone())).system_error(broken)?;
    let (mut all, mut left) = (Vec::new(), MAX_WHOLE);
    for at in 0..archive.len() {
        let file = archive.by_index(at).system_error(broken)?;
        if file.is_dir() {
            continue;
        }
        let plain = unpacked(file, left, broken)?;
        left -= plain.len() as u64;
        all.push(inner.decode_whole(plain)?);
    }
    Ok(Documents::each(all.into_iter().flat_map(|documents| {
        documents.into_values("a ZipfileDecoder")
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_to_too_much_is_an_error_before_it_fills_the_memory() {
        let text = unpacked(&b"12345"[..], 5, "broken").unwrap();
        assert_eq!(text, "12345");
        // A packed body may hold a thousand times as much, or have no end.
        let error = unpacked(std::io::repeat(b' '), 5_000_000, "broken").unwrap_err();
        assert!(error.message().contains("unpacks to more than"), "{error}");
    }
}
