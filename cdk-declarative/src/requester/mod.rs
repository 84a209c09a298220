//! Requesters: what a component asks for in, one answer out.

pub(crate) mod body;
pub(crate) mod budget;
mod cookies;
mod http;
pub(crate) mod inputs;
pub(crate) mod response;
mod retry;
pub(crate) mod wire;

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use cdk_http::{StatusCode, Url};
use serde_json::Value;

use crate::component::Component;
use crate::custom::{CustomRequest, CustomRequester};
use crate::host::Host;
use crate::requester::http::HttpRequester;
use crate::requester::response::PageResponse;
use crate::slice::{Additions, StreamSlice};

/// Sends the requests of a stream.
pub(crate) enum Requester {
    /// As the manifest says.
    Http(Box<HttpRequester>),
    /// By a component of the embedding program.
    Custom(Arc<dyn CustomRequester>, Arc<Host>),
}

/// How a request ended that did not fail.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Short-lived, and nearly always the large one.
pub(crate) enum Sent {
    /// An answer; not necessarily a good one.
    Response(PageResponse),
    /// Pagination has to begin again.
    ResetPagination,
}

impl std::fmt::Debug for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(http) => http.fmt(f),
            Self::Custom(..) => f.write_str("CustomRequester"),
        }
    }
}

impl Requester {
    /// `name` is what rate limits are reported under: the stream's.
    pub(crate) fn build(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Self> {
        match component.kind() {
            "HttpRequester" => {
                let http = HttpRequester::build(component, name, host)?;
                Ok(Self::Http(Box::new(http)))
            }
            "CustomRequester" => {
                let custom = host.registry().requester(component)?;
                Ok(Self::Custom(custom, Arc::clone(host)))
            }
            other => Err(component.error(format!("`{other}` is no requester. Use HttpRequester."))),
        }
    }

    /// Waits for rate limits are not reported as the stream's status: it is only read as a parent.
    pub(crate) fn hide_status(&mut self) {
        if let Self::Http(http) = self {
            http.reports_status = false;
        }
    }

    /// Sends one request of a slice.
    ///
    /// `path` replaces the requester's own; `more` is what paginator and partition router add.
    pub(crate) async fn send(
        &self,
        slice: &StreamSlice,
        token: Option<&Value>,
        more: Additions,
        path: Option<&str>,
    ) -> Result<Sent> {
        match self {
            Self::Http(http) => http.send(slice, token, more, path).await,
            Self::Custom(custom, host) => {
                let request = CustomRequest {
                    config: &host.config(),
                    slice,
                    page_token: token,
                    additions: &more,
                    path,
                };
                let answer = custom.send(request).await?;
                Ok(Sent::Response(answered(answer)?))
            }
        }
    }
}

fn answered(answer: crate::custom::CustomResponse) -> Result<PageResponse> {
    let no_status = || {
        ConnectorError::system(format!(
            "A custom requester gave the status {}, which HTTP does not have.",
            answer.status
        ))
    };
    let no_url = || ConnectorError::system("The URL of a custom requester's answer is invalid.");
    Ok(PageResponse {
        status: StatusCode::from_u16(answer.status)
            .map_err(|error| no_status().caused_by(error))?,
        headers: answer.headers,
        url: Url::parse(&answer.url).map_err(|error| no_url().caused_by(error))?,
        body: answer.body.into(),
        asked_with: None,
    })
}
