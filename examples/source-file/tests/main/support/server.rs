//! An HTTP/1.1 server on a free port that answers by script.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What came in: the path and the headers, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first byte that a `Range` header asks for.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// What goes out. The connection is closed after it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Only so many bytes of the body are sent.
    pub(crate) cut_at: Option<usize>,
    /// No `Content-Length` is sent: the close is the end.
    pub(crate) has_no_length: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn cut_at(mut self, bytes: usize) -> Self {
        self.cut_at = Some(bytes);
        self
    }

    /// Cuts a body that is longer.
    pub(crate) fn cut_at_most(self, bytes: usize) -> Self {
        let is_longer = self.body.len() > bytes;
        if is_longer { self.cut_at(bytes) } else { self }
    }

    /// The part of `file` that `request` asks for, as a server with ranges and a tag sends it.
    pub(crate) fn ranged(request: &Request, file: &[u8], etag: &str) -> Self {
        let total = file.len();
        let is_same = request.header("if-range").is_none_or(|tag| tag == etag);
        let reply = match request.range_start().filter(|_| is_same) {
            None => Self::new(200, file),
            Some(start) if start >= total => {
                Self::new(416, "").header("Content-Range", format!("bytes */{total}"))
            }
            Some(start) => Self::new(206, &file[start..]).header(
                "Content-Range",
                format!("bytes {start}-{}/{total}", total - 1),
            ),
        };
        reply.header("ETag", etag)
    }
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// The running server; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self {
            url,
            requests,
            task,
        }
    }

    /// Serves one file at every path, with ranges.
    pub(crate) async fn of_file(file: impl Into<Vec<u8>>) -> Self {
        let file = file.into();
        Self::start(move |request| Reply::ranged(request, &file, "\"v1\"")).await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, script: Arc<Mutex<Script>>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let request = parse(&String::from_utf8(head).unwrap());
    seen.lock().unwrap().push(request.clone());
    let reply = (script.lock().unwrap())(&request);
    let mut out = format!("HTTP/1.1 {} Reason\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        out += &format!("{name}: {value}\r\n");
    }
    if !reply.has_no_length {
        out += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    out += "\r\n";
    let sent = reply.cut_at.unwrap_or(reply.body.len());
    // The client hangs up once it has seen enough: that is no failure of the server.
    if socket.write_all(out.as_bytes()).await.is_ok() {
        drop(socket.write_all(&reply.body[..sent]).await);
        drop(socket.shutdown().await);
    }
}

fn parse(head: &str) -> Request {
    let mut lines = head.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Request { path, headers }
}
