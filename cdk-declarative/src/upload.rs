//! Files that records describe, downloaded beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::{Map, Value, json};

use crate::component::Component;
use crate::decoder::Decoder;
use crate::extract::Extractor;
use crate::host::Host;
use crate::requester::body::Body;
use crate::requester::{Requester, Sent};
use crate::slice::{Additions, StreamSlice};
use crate::template::{Template, python_text};

/// The environment variable that names the folder the platform shares with its connectors.
const STAGING_VARIABLE: &str = "AIRBYTE_STAGING_DIRECTORY";
const STAGING_DEFAULT: &str = "/staging/files";
const STAGING_FALLBACK: &str = "/tmp/airbyte-file-transfer";

/// Downloads the file of each record.
#[derive(Debug)]
pub(crate) struct Uploader {
    stream: String,
    host: Arc<Host>,
    requester: Requester,
    target: Extractor,
    filename: Option<Template>,
    content: Option<Extractor>,
    folder: PathBuf,
}

impl Uploader {
    pub(crate) fn build(component: &Component<'_>, stream: &str, host: &Arc<Host>) -> Result<Self> {
        let config = host.config();
        let scope = host.scope(&config);
        let extractor = |key: &str| -> Result<Option<Extractor>> {
            let at = component.child(key)?;
            at.map(|at| Extractor::build(&at, &Decoder::Json, &scope, host.registry()))
                .transpose()
        };
        let filename = component.text("filename_extractor")?;
        let staging =
            std::env::var(STAGING_VARIABLE).unwrap_or_else(|_| STAGING_DEFAULT.to_owned());
        let folder = match Path::new(&staging).is_dir() {
            true => PathBuf::from(staging),
            false => PathBuf::from(STAGING_FALLBACK),
        };
        Ok(Self {
            stream: stream.to_owned(),
            host: Arc::clone(host),
            requester: Requester::build(&component.need_child("requester")?, stream, host)?,
            target: extractor("download_target_extractor")?.ok_or_else(|| {
                component.error("the field `download_target_extractor` is missing.")
            })?,
            filename: filename
                .map(|text| Template::new(text, component))
                .transpose()?,
            content: extractor("file_extractor")?,
            folder,
        })
    }

    /// Downloads the file of a record and returns the reference to it.
    pub(crate) async fn upload(&self, record: &Value, slice: &StreamSlice) -> Result<Value> {
        let target = self.extracted(&self.target, record)?;
        let mut extra = Map::new();
        extra.insert("download_target".to_owned(), target.clone().into());
        let slice = StreamSlice::new(slice.partition().clone(), slice.cursor().clone());
        let slice = slice.with_extra_fields(extra);
        let sent = self
            .requester
            .send(&slice, None, Additions::default(), None)
            .await?;
        let Sent::Response(response) = sent else {
            return Err(ConnectorError::system(
                "The download of a file asks for pages to be read anew.",
            ));
        };
        let body = match &self.content {
            Some(content) => {
                let record = response.json();
                Body::from(bytes::Bytes::from(self.extracted(content, &record)?))
            }
            None => response.body,
        };
        let name = self.name(record)?;
        let path = self.folder.join(&self.stream).join(&name);
        let failed = || format!("The file {} can't be written.", path.display());
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .transient_error(failed())?;
        }
        let (mut reader, target) = (body.reader(), path.clone());
        let written = tokio::task::spawn_blocking(move || {
            std::io::copy(&mut reader, &mut std::fs::File::create(target)?)
        });
        written
            .await
            .system_error("A task that writes a file has ended.")?
            .transient_error(failed())?;
        Ok(json!({
            "staging_file_url": path.display().to_string(),
            "source_file_relative_path": name,
            "file_size_bytes": body.len(),
        }))
    }

    /// The name of the file, kept inside of the stream's folder.
    fn name(&self, record: &Value) -> Result<String> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let name = match &self.filename {
            Some(template) => template.text(&scope.with("record", record))?,
            None => uuid::Uuid::new_v4().to_string(),
        };
        let steps = name
            .split('/')
            .filter(|step| !matches!(*step, "" | "." | ".."));
        let name = steps.collect::<Vec<_>>().join("/");
        match name.is_empty() {
            true => Ok(uuid::Uuid::new_v4().to_string()),
            false => Ok(name),
        }
    }

    fn extracted(&self, extractor: &Extractor, record: &Value) -> Result<String> {
        let missing = || {
            ConnectorError::system(format!(
                "A record of stream {} has no file to download where the manifest looks for it.",
                self.stream
            ))
        };
        let body = bytes::Bytes::from(record.to_string());
        let mut values = extractor.extract(&body.into())?.into_values();
        let value = values.next().ok_or_else(missing)??;
        Ok(python_text(&value))
    }
}
