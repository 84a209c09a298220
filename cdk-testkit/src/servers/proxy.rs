//! A TCP proxy that breaks connections on demand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on to another address of this machine, until told to break them.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Bytes that may still come from the server, over all connections.
    allowed: AtomicU64,
    connections: AtomicU64,
    /// Counts the calls of `cut_now`.
    cuts: watch::Sender<u64>,
}

impl FaultProxy {
    /// A proxy in front of `127.0.0.1:port`.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port is free");
        let own = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            allowed: AtomicU64::new(u64::MAX),
            connections: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
        });
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let task = tokio::spawn(accept(listener, target, Arc::clone(&shared)));
        Self {
            port: own.port(),
            shared,
            task,
        }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets `bytes` more come from the server, then breaks every connection.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.allowed.store(bytes, Ordering::SeqCst);
    }

    /// Breaks the connections that are open now; new ones work.
    pub fn cut_now(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.cut_after(u64::MAX);
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut_now();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut cuts = shared.cuts.subscribe();
            tokio::select! {
                // Whatever ends it, both sides are closed by dropping them.
                _ = cuts.changed() => {}
                () = pass(client, target, &shared) => {}
            }
        });
    }
}

async fn pass(client: TcpStream, target: SocketAddr, shared: &Shared) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let allowed = shared.allowed.load(Ordering::SeqCst);
            let passed = usize::try_from(allowed).unwrap_or(usize::MAX).min(read);
            if allowed != u64::MAX {
                shared.allowed.fetch_sub(passed as u64, Ordering::SeqCst);
            }
            if to_client.write_all(&buffer[..passed]).await.is_err() || passed < read {
                return;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}
