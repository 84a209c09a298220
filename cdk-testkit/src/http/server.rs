//! The server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http::{Expect, Reply, SeenRequest};

type Handler = Box<dyn FnMut(&SeenRequest) -> Reply + Send>;

/// An HTTP/1.1 server on a free port of the loopback. It ends when it is dropped.
///
/// Either it has a list of expected requests, each with its reply ([`start`](Self::start), [`expect`](Self::expect)), or
/// a function that answers them ([`serve`](Self::serve)). An unexpected request is answered with 599, and makes
/// [`verify`](Self::verify) fail.
#[derive(Debug)]
pub struct MockServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    handler: Option<Mutex<Handler>>,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    expected: Vec<(Expect, Reply)>,
    is_ordered: bool,
    requests: Vec<SeenRequest>,
    problems: Vec<String>,
    in_flight: usize,
    most_in_flight: usize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl MockServer {
    /// A server that expects no request yet.
    pub async fn start() -> Self {
        Self::listen(Shared::default()).await
    }

    /// A server whose every request `handler` answers.
    pub async fn serve(handler: impl FnMut(&SeenRequest) -> Reply + Send + 'static) -> Self {
        Self::listen(Shared {
            handler: Some(Mutex::new(Box::new(handler))),
            ..Shared::default()
        })
        .await
    }

    async fn listen(shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.unwrap_or_else(|error| panic!("no free port: {error}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|error| panic!("no address: {error}"));
        let shared = Arc::new(shared);
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = tokio::spawn(connection(socket, Arc::clone(&serving)));
                lock(&serving.connections).push(connection);
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Where it is: `http://127.0.0.1:…`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Expects a request and answers it with `reply`. Each expectation is used once, or as often as it says; a request
    /// takes the first unused one that it matches.
    pub fn expect(&self, expected: Expect, reply: Reply) {
        self.state().expected.push((expected, reply));
    }

    /// From here on, requests must come in the order in which they are expected.
    pub fn in_order(&self) {
        self.state().is_ordered = true;
    }

    /// The requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state().requests.clone()
    }

    /// The most requests that were waiting for their answer to begin at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }

    /// Panics if a request came that was not expected, or one that was expected did not.
    pub fn verify(&self) {
        let state = self.state();
        let unused = state
            .expected
            .iter()
            .filter(|(expected, _)| expected.times > 0);
        let mut problems = state.problems.clone();
        problems.extend(unused.map(|(expected, _)| format!("never came: {expected:?}")));
        assert!(
            problems.is_empty(),
            "the mock server saw:\n{}",
            problems.join("\n")
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.accepting.abort();
        for connection in lock(&self.shared.connections).drain(..) {
            connection.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    // Small replies shall not wait for the other side's acknowledgement.
    drop(socket.set_nodelay(true));
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::new(read);
    let is_http = read
        .fill_buf()
        .await
        .is_ok_and(|start| start.first().is_none_or(u8::is_ascii_alphabetic));
    if !is_http {
        // TLS, most likely. The client may be gone already.
        drop(write.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        return;
    }
    while let Some(request) = SeenRequest::read(&mut read).await {
        let reply = shared.reply(&request);
        reply.wait().await;
        // Before the client knows the answer, and may send another request.
        lock(&shared.state).in_flight -= 1;
        // The client may hang up once it has seen enough: that is no failure of the server.
        let sent = reply.send(&mut write).await;
        if !matches!(sent, Ok(true)) || request.asks_to_close() {
            return;
        }
    }
}

impl Shared {
    fn reply(&self, request: &SeenRequest) -> Reply {
        {
            let mut state = lock(&self.state);
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
            state.requests.push(request.clone());
        }
        match &self.handler {
            Some(handler) => lock(handler)(request),
            None => lock(&self.state).expected_reply(request),
        }
    }
}

impl State {
    fn expected_reply(&mut self, request: &SeenRequest) -> Reply {
        let unused = self
            .expected
            .iter_mut()
            .filter(|(expected, _)| expected.times > 0);
        let mut nearest = None;
        for (expected, reply) in unused {
            let Some(mismatch) = expected.mismatch(request) else {
                expected.times -= 1;
                return reply.clone();
            };
            nearest.get_or_insert(mismatch);
            if self.is_ordered {
                break;
            }
        }
        let why = nearest.unwrap_or_else(|| "nothing more was expected".to_owned());
        self.problems
            .push(format!("unexpected {}: {why}", request.target()));
        Reply::error(599, "the mock server did not expect this request")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn get(server: &MockServer, target: &str) -> String {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn expected_requests_get_their_replies() {
        let server = MockServer::start().await;
        server.expect(Expect::get("/a").query("p", "1"), Reply::text("one"));
        server.expect(Expect::get("/a").no_query(), Reply::text("two").chunked(1));
        assert!(get(&server, "/a").await.ends_with("\r\n0\r\n\r\n"));
        assert!(get(&server, "/a?p=1").await.ends_with("\r\n\r\none"));
        server.verify();
    }

    #[tokio::test]
    #[should_panic(expected = "unexpected GET /b")]
    async fn unexpected_requests_are_problems() {
        let server = MockServer::start().await;
        assert!(get(&server, "/b").await.starts_with("HTTP/1.1 599"));
        server.verify();
    }

    #[tokio::test]
    #[should_panic(expected = "never came")]
    async fn requests_that_do_not_come_are_problems() {
        let server = MockServer::start().await;
        server.expect(Expect::get("/a"), Reply::text(""));
        server.verify();
    }

    #[tokio::test]
    #[should_panic(expected = "unexpected GET /b")]
    async fn order_can_be_asked_for() {
        let server = MockServer::start().await;
        server.in_order();
        server.expect(Expect::get("/a"), Reply::text(""));
        server.expect(Expect::get("/b"), Reply::text(""));
        get(&server, "/b").await;
        server.verify();
    }

    #[tokio::test]
    async fn a_cut_reply_promises_more_than_it_sends() {
        let server = MockServer::serve(|_| Reply::text("abcdef").cut_at(2)).await;
        let text = get(&server, "/").await;
        assert!(
            text.contains("content-length: 6") && text.ends_with("\r\nab"),
            "{text}"
        );
    }
}
