//! An API whose answers are ready before they are asked for, in a process of its own.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader as BlockingReader, Read, Write};
use std::net::TcpStream as BlockingStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{AnyResult, own};
use crate::{orders, print};

/// Records on a page.
pub const PAGE: u64 = 1000;
/// How long `/slow` takes.
pub const LATENCY: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Counts {
    in_flight: u64,
    most_in_flight: u64,
    recent: VecDeque<Instant>,
    densest_second: usize,
}

struct Api {
    /// Whole answers: head and page.
    pages: Vec<Vec<u8>>,
    empty: Vec<u8>,
    counts: Mutex<Counts>,
}

/// Serves until it is killed; prints its URL first.
pub fn serve() -> AnyResult<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        print(&format!("http://{}", listener.local_addr()?));
        let api = Arc::new(Api {
            pages: pages(),
            empty: answer("{\"data\":[]}"),
            counts: Mutex::default(),
        });
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            // A client that hangs up is no failure.
            let api = Arc::clone(&api);
            tokio::spawn(async move { drop(converse(socket, &api).await) });
        }
    })
}

/// Four distinct pages of 1000 records.
fn pages() -> Vec<Vec<u8>> {
    let orders = orders();
    let pages = orders.chunks(PAGE as usize).take(4).map(|orders| {
        let records: Vec<String> = orders
            .iter()
            .map(|order| serde_json::to_string(order).expect("orders are JSON"))
            .collect();
        answer(&format!("{{\"data\":[{}],\"total\":1}}", records.join(",")))
    });
    pages.collect()
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn converse(socket: TcpStream, api: &Api) -> std::io::Result<()> {
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    loop {
        line.clear();
        if read.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line.trim_end() != "" {
            line.clear();
            read.read_line(&mut line).await?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = |name: &str| -> u64 {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(key, _)| *key == name);
            found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        match path {
            "/records" => {
                let (offset, total) = (number("offset"), number("total"));
                let page = (offset / PAGE) as usize % api.pages.len();
                let is_over = total > 0 && offset >= total;
                let page = if is_over {
                    &api.empty
                } else {
                    &api.pages[page]
                };
                write.write_all(page).await?;
            }
            "/parents" => {
                let (offset, total) = (number("offset"), number("total"));
                let ids = offset..total.min(offset + PAGE);
                let parents: Vec<String> = ids.map(of_parent).collect();
                write
                    .write_all(&answer(&format!("[{}]", parents.join(","))))
                    .await?;
            }
            "/children" => {
                let child = of_parent(number("parent"));
                write.write_all(&answer(&format!("[{child}]"))).await?;
            }
            "/slow" => {
                api.enter();
                tokio::time::sleep(LATENCY).await;
                api.counts().in_flight -= 1;
                write.write_all(&answer("[{\"id\":1}]")).await?;
            }
            "/reset" => {
                *api.counts() = Counts::default();
                write.write_all(&answer("{}")).await?;
            }
            "/counts" => {
                let counts = {
                    let counts = api.counts();
                    format!("{} {}", counts.most_in_flight, counts.densest_second)
                };
                write.write_all(&answer(&counts)).await?;
            }
            _ => long(&mut write, &api.pages[0], number("bytes")).await?,
        }
    }
}

/// A parent, or its one child.
fn of_parent(id: u64) -> String {
    let (month, day) = (id % 12 + 1, id % 28 + 1);
    format!("{{\"id\":{id},\"updated_at\":\"2026-{month:02}-{day:02}T00:00:00Z\"}}")
}

/// One array of about so many bytes, as a chunked body.
async fn long(
    write: &mut (impl AsyncWriteExt + Unpin),
    page: &[u8],
    bytes: u64,
) -> std::io::Result<()> {
    let start = memchr::memmem::find(page, b"[").map_or(0, |at| at + 1);
    let end = memchr::memmem::rfind(page, b"]").unwrap_or(page.len());
    let records = &page[start..end];
    write
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n")
        .await?;
    let mut sent = 0;
    while sent < bytes {
        let comma: &[u8] = if sent == 0 { b"" } else { b"," };
        let head = format!("{:x}\r\n", comma.len() + records.len());
        write.write_all(head.as_bytes()).await?;
        write.write_all(comma).await?;
        write.write_all(records).await?;
        write.write_all(b"\r\n").await?;
        sent += records.len() as u64;
    }
    write.write_all(b"1\r\n]\r\n0\r\n\r\n").await
}

impl Api {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) {
        let mut counts = self.counts();
        counts.in_flight += 1;
        counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
        let now = Instant::now();
        counts.recent.push_back(now);
        while counts
            .recent
            .front()
            .is_some_and(|at| now - *at >= Duration::from_secs(1))
        {
            counts.recent.pop_front();
        }
        counts.densest_second = counts.densest_second.max(counts.recent.len());
    }
}

fn ask(url: &str, path: &str) -> AnyResult<String> {
    let address = url.trim_start_matches("http://");
    let mut socket = BlockingStream::connect(address)?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())?;
    socket.shutdown(std::net::Shutdown::Write)?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text
        .rsplit("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// The API's process; it ends with this one.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Runs this program again with the argument `serve`, which has to call [`serve`].
    pub fn start() -> AnyResult<Self> {
        let mut command = own(&["serve"])?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        let mut url = String::new();
        BlockingReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, url })
    }

    /// Where it listens, as `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Forgets what was counted.
    pub fn reset(&self) -> AnyResult<()> {
        ask(&self.url, "/reset").map(drop)
    }

    /// The most requests in flight, and the most within a second.
    pub fn counts(&self) -> AnyResult<(u64, u64)> {
        let text = ask(&self.url, "/counts")?;
        let (most, densest) = text.split_once(' ').ok_or("no counts")?;
        Ok((most.parse()?, densest.trim().parse()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end is all that is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
