//! APIs that stand still for a test: a server on a free port of this machine that answers by script and misbehaves as
//! told, and real traffic recorded once and played back.
//!
//! ```
//! use cdk_testkit::http::{Expect, MockServer, Reply};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let api = MockServer::start().await;
//! api.expect(Expect::get("/users").query("page", "1"), Reply::json(&json!([{"id": 1}])));
//! api.expect(Expect::get("/users").query("page", "2"), Reply::json(&json!([])));
//! // … read from api.url() …
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # for page in [1, 2] {
//! #     let mut socket = tokio::net::TcpStream::connect(api.address()).await.unwrap();
//! #     let request = format!("GET /users?page={page} HTTP/1.1\r\nconnection: close\r\n\r\n");
//! #     socket.write_all(request.as_bytes()).await.unwrap();
//! #     socket.read_to_end(&mut Vec::new()).await.unwrap();
//! # }
//! api.verify(); // every expected request came, and no other
//! # }
//! ```

mod expect;
mod faults;
mod record;
mod reply;
mod request;
mod server;
mod tokens;

pub use expect::Expect;
pub use faults::{Fault, Faults};
pub use record::{Recorder, Replay};
pub use reply::Reply;
pub use request::SeenRequest;
pub use server::MockServer;
pub use tokens::Tokens;
