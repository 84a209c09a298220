//! Where the file is.

use std::path::PathBuf;

use cdk_core::{Context, ErrorContext, Result};

use crate::config::{FileConfig, Provider};
use crate::fingerprint::Fingerprint;
use crate::http::{HttpFile, HttpSettings};
use crate::local;
use crate::text::Bytes;

/// The place of the file.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    Local(PathBuf),
    Http(HttpFile),
}

/// An open file.
pub(crate) struct Opened {
    pub(crate) fingerprint: Fingerprint,
    /// Its bytes, from where it was opened.
    pub(crate) bytes: Bytes,
}

impl Location {
    /// The place that `config` names. Credentials in a URL are registered as secrets.
    pub(crate) fn new(config: &FileConfig, http: &HttpSettings, context: &Context) -> Result<Self> {
        let url = config.url.trim();
        match &config.provider {
            Provider::Local {} => Ok(Self::Local(local::path(url)?)),
            Provider::Https { user_agent } => {
                let file = HttpFile::new(url, *user_agent, http.clone())?;
                file.register_secrets(context.secrets());
                Ok(Self::Http(file))
            }
        }
    }

    /// How messages call it: without credentials.
    pub(crate) fn display(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Http(file) => file.display().to_owned(),
        }
    }

    /// Opens the file at byte `from`; with `expected`, that version of it if the storage can tell.
    pub(crate) async fn open(&self, from: u64, expected: Option<&Fingerprint>) -> Result<Opened> {
        match self {
            Self::Local(path) => {
                let path = path.clone();
                let opened = tokio::task::spawn_blocking(move || local::open(&path, from)).await;
                opened.system_error("The thread that opens the file crashed.")?
            }
            Self::Http(file) => file.open(from, expected).await,
        }
    }
}
