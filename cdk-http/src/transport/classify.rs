//! What kind of failure an error of reqwest is.

use std::error::Error as StdError;
use std::io;

use crate::transport::{TransportError, TransportErrorKind as Kind};

/// Classifies, and drops the URL from the error's text.
pub(super) fn classify(error: reqwest::Error) -> TransportError {
    let kind = kind(&error);
    TransportError::new(kind, error.without_url())
}

fn kind(error: &reqwest::Error) -> Kind {
    if error.is_redirect() {
        return Kind::Redirect;
    }
    if let Some(tls) = chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Kind::Certificate,
            _ => Kind::Tls,
        };
    }
    if error.is_timeout() {
        Kind::Timeout
    } else if error.is_dns() {
        Kind::Dns
    } else if error.is_connect() {
        Kind::Connect
    } else if error.is_builder() {
        Kind::Request
    } else if error.is_body() || error.is_decode() {
        Kind::Body
    } else {
        Kind::Other
    }
}

/// The errors below `error`, also those that an [`io::Error`] wraps without naming them its source.
fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let first: &'a (dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| error.source())
    })
}
