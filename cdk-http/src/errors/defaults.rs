//! What answers mean unless a connector says otherwise: the table of Airbyte's Python CDK, completed.

use airbyte_protocol::FailureType::{self, ConfigError, SystemError, TransientError};
use reqwest::StatusCode;

use crate::errors::{Resolution, ResponseAction};
use crate::transport::{TransportError, TransportErrorKind as Kind};

/// What a status means.
///
/// | status | action | who must act |
/// |---|---|---|
/// | 2xx, 3xx | success | |
/// | 400, 404, 405 | fail | system |
/// | 401, 403 | fail | config |
/// | 408 | retry | transient |
/// | 429 | rate limited | transient |
/// | 500, 502, 503, 504 | retry | transient |
/// | any other | retry | system |
pub fn status_default(status: StatusCode) -> Resolution {
    let (action, failure_type): (_, FailureType) = match status.as_u16() {
        200..=399 => (ResponseAction::Success, SystemError),
        401 | 403 => (ResponseAction::Fail, ConfigError),
        400 | 404 | 405 => (ResponseAction::Fail, SystemError),
        408 | 500 | 502 | 503 | 504 => (ResponseAction::Retry, TransientError),
        429 => (ResponseAction::RateLimited, TransientError),
        _ => (ResponseAction::Retry, SystemError),
    };
    Resolution::new(action, failure_type)
}

/// What a failed exchange means. A certificate or redirect that is wrong stays wrong; a host name that is not found
/// may be a network that is not up yet.
pub fn transport_default(error: &TransportError) -> Resolution {
    let (action, failure_type) = match error.kind() {
        Kind::Certificate | Kind::Tls | Kind::Redirect => (ResponseAction::Fail, ConfigError),
        Kind::Request => (ResponseAction::Fail, ConfigError),
        Kind::Dns | Kind::Connect | Kind::Timeout | Kind::Body | Kind::Other => {
            (ResponseAction::Retry, TransientError)
        }
    };
    Resolution::new(action, failure_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_table_says() {
        for (status, action, failure_type) in [
            (204, ResponseAction::Success, SystemError),
            (304, ResponseAction::Success, SystemError),
            (400, ResponseAction::Fail, SystemError),
            (401, ResponseAction::Fail, ConfigError),
            (403, ResponseAction::Fail, ConfigError),
            (404, ResponseAction::Fail, SystemError),
            (408, ResponseAction::Retry, TransientError),
            (409, ResponseAction::Retry, SystemError),
            (429, ResponseAction::RateLimited, TransientError),
            (500, ResponseAction::Retry, TransientError),
            (501, ResponseAction::Retry, SystemError),
            (504, ResponseAction::Retry, TransientError),
            (520, ResponseAction::Retry, SystemError),
        ] {
            let resolution = status_default(StatusCode::from_u16(status).unwrap());
            assert_eq!(
                resolution,
                Resolution::new(action, failure_type),
                "{status}"
            );
        }
    }

    #[test]
    fn only_what_may_get_better_is_tried_again() {
        for (kind, action) in [
            (Kind::Dns, ResponseAction::Retry),
            (Kind::Timeout, ResponseAction::Retry),
            (Kind::Body, ResponseAction::Retry),
            (Kind::Certificate, ResponseAction::Fail),
            (Kind::Redirect, ResponseAction::Fail),
        ] {
            let error = TransportError::new(kind, "cause");
            assert_eq!(transport_default(&error).action, action, "{kind:?}");
        }
    }
}
