//! The HTTP layer of the Rust CDK.
//!
//! # Modules
//!
//! | module | what is there |
//! |---|---|
//! | [`stream`] | [`HttpStream`]: a stream described in what is special about it |
//! | [`client`] | [`HttpClient`]: one request until it succeeds or fails for good |
//! | [`transport`] | the seam to the network: one method; [`HttpTransport`] over reqwest |
//! | [`request`], [`response`] | what goes out, in parts; what comes back, in chunks |
//! | [`auth`] | credentials |
//! | [`body`] | a body that goes on where it broke off |
//! | [`errors`] | what answers mean, and how long to wait before another try |
//! | [`budget`] | rate limits that are kept in advance |
//! | [`decode`] | bodies become records: JSON, JSONL, CSV, XML, gzip, zip |
//! | [`paginate`] | from page to page |
//! | [`json`] | values inside JSON text |
//! | [`cache`] | answers kept for the time of a run |
//! | [`timer`] | waiting as a parameter |
//! | [`url`] | URLs parsed, joined, shown |

pub mod auth;
pub mod body;
pub mod budget;
pub mod cache;
pub mod client;
pub mod decode;
pub mod errors;
pub mod json;
pub mod paginate;
pub mod request;
pub mod response;
pub mod stream;
pub mod timer;
pub mod transport;
pub mod url;

pub use client::{HttpClient, Outcome};
pub use request::{Placement, Request, RequestBody};
pub use reqwest::{Method, StatusCode, Url, header};
pub use response::{Response, ResponseBody};
pub use stream::{HttpApi, HttpStream};
pub use transport::{HttpTransport, Transport, TransportError, TransportSettings};
