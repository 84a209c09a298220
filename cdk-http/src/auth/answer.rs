//! The JSON with which a server answers a login.

use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result};
use serde_json::Value;

use crate::client::HttpClient;
use crate::request::Request;

/// Longer answers are none to a login.
const ANSWER_BYTES: usize = 1 << 20;
/// An answer that ends in the middle is asked for so often.
const MAX_TRUNCATED: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);

/// The answer to `request`, which errors call `what`; `None` when the error handler ignores it.
pub(super) async fn json_answer(
    client: &HttpClient,
    request: &Request,
    what: &str,
) -> Result<Option<Value>> {
    let mut tries = 0;
    loop {
        let outcome = client.fetch(request.clone(), ANSWER_BYTES).await?;
        let Some(mut response) = outcome.success() else {
            return Ok(None);
        };
        let body = response.body.bytes(ANSWER_BYTES).await;
        let body = body.transient_error(format!("{what} broke off. Run the sync again later."))?;
        let error = match serde_json::from_slice(&body.unwrap_or_default()) {
            Ok(json) => return Ok(Some(json)),
            Err(error) => error,
        };
        tries += 1;
        let no_json = format!("{what} is no JSON.");
        if !error.is_eof() {
            return Err(ConnectorError::system(no_json).caused_by(error));
        }
        if tries >= MAX_TRUNCATED {
            let text = format!("{what} ends in the middle. Run the sync again later.");
            return Err(ConnectorError::transient(text).caused_by(error));
        }
        tracing::info!("{what} ends in the middle. It is asked for again.");
        client.unless_stopped(client.timer().sleep(WAIT)).await?;
    }
}
