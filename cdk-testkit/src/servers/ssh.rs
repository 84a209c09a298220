//! An SSH server that forwards TCP connections and does nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{KeyPair, PKCS_ED25519};
use russh::Channel;
use russh::keys::{PrivateKey, decode_secret_key};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server on 127.0.0.1 that lets one user in, by password or by key.
#[derive(Debug)]
pub struct SshServer {
    port: u16,
    user_key: String,
    forwarded: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl SshServer {
    /// The name of the only user.
    pub const USER: &'static str = "tunnel";
    /// That user's password.
    pub const PASSWORD: &'static str = "through the wall";

    /// Starts the server.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port is free");
        let own = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (host_key, _) = new_key();
        let (user_key, user_pem) = new_key();
        let config = Arc::new(Config {
            keys: vec![host_key],
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        });
        let forwarded = Arc::new(AtomicU64::new(0));
        let visitor = Visitor {
            user_key: Arc::new(user_key),
            forwarded: Arc::clone(&forwarded),
        };
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let running =
                    russh::server::run_stream(Arc::clone(&config), socket, visitor.clone());
                tokio::spawn(async move {
                    if let Ok(session) = running.await {
                        // A client that hangs up ends its session with an error; that is its business.
                        let _ = session.await;
                    }
                });
            }
        });
        Self {
            port: own.port(),
            user_key: user_pem,
            forwarded,
            task,
        }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user's private key, PEM.
    pub fn user_key(&self) -> &str {
        &self.user_key
    }

    /// Connections forwarded so far.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::SeqCst)
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn new_key() -> (PrivateKey, String) {
    let pem = KeyPair::generate_for(&PKCS_ED25519)
        .expect("keys can be made")
        .serialize_pem();
    (
        decode_secret_key(&pem, None).expect("PKCS #8 is understood"),
        pem,
    )
}

#[derive(Clone)]
struct Visitor {
    user_key: Arc<PrivateKey>,
    forwarded: Arc<AtomicU64>,
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(verdict(
            user == SshServer::USER && password == SshServer::PASSWORD,
        ))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let is_known = key.public_key.key_data() == self.user_key.public_key().key_data();
        Ok(verdict(user == SshServer::USER && is_known))
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let port = u16::try_from(port).unwrap_or_default();
        let Ok(mut target) = TcpStream::connect((host, port)).await else {
            // Dropped without an answer, the channel is refused.
            return Ok(());
        };
        reply.accept().await;
        self.forwarded.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut stream = channel.into_stream();
            // Either side may hang up.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
        });
        Ok(())
    }
}

fn verdict(is_welcome: bool) -> Auth {
    match is_welcome {
        true => Auth::Accept,
        false => Auth::reject(),
    }
}
