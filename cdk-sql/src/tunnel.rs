//! SSH tunnels: a port of this machine that leads to the database through a bastion host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result, SecretString};
use russh::client::{AuthResult, Config, Handle, Handler};
use russh::keys::{PrivateKeyWithHashAlg, decode_secret_key};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Whether to go through an SSH server, and how to log in there. The keys are those of Airbyte's connectors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "tunnel_method")]
#[schemars(inline)]
#[non_exhaustive]
pub enum TunnelMethod {
    /// The database is reached directly.
    #[serde(rename = "NO_TUNNEL")]
    #[schemars(title = "No Tunnel")]
    None {},
    /// Log in with a private key.
    #[serde(rename = "SSH_KEY_AUTH")]
    #[schemars(title = "SSH Key Authentication")]
    Key {
        /// Host name of the SSH server.
        #[schemars(title = "SSH Tunnel Jump Server Host", extend("order" = 1))]
        tunnel_host: String,
        /// Port of the SSH server.
        #[serde(default = "default_port")]
        #[schemars(title = "SSH Connection Port", range(min = 1, max = 65535), extend("order" = 2))]
        tunnel_port: u16,
        /// User at the SSH server.
        #[schemars(title = "SSH Login Username", extend("order" = 3))]
        tunnel_user: String,
        /// Private key without passphrase: OpenSSH, PKCS #1, PKCS #8 or PuTTY format.
        #[schemars(title = "SSH Private Key", extend("order" = 4, "multiline" = true))]
        ssh_key: SecretString,
    },
    /// Log in with a password.
    #[serde(rename = "SSH_PASSWORD_AUTH")]
    #[schemars(title = "Password Authentication")]
    Password {
        /// Host name of the SSH server.
        #[schemars(title = "SSH Tunnel Jump Server Host", extend("order" = 1))]
        tunnel_host: String,
        /// Port of the SSH server.
        #[serde(default = "default_port")]
        #[schemars(title = "SSH Connection Port", range(min = 1, max = 65535), extend("order" = 2))]
        tunnel_port: u16,
        /// User at the SSH server.
        #[schemars(title = "SSH Login Username", extend("order" = 3))]
        tunnel_user: String,
        /// Password of that user.
        #[schemars(title = "Password", extend("order" = 4))]
        tunnel_user_password: SecretString,
    },
}

fn default_port() -> u16 {
    22
}

impl Default for TunnelMethod {
    fn default() -> Self {
        Self::None {}
    }
}

/// The SSH session is kept up by a question this often; three without answer end it.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// An open tunnel. Dropping it closes the local port; connections through it break.
#[derive(Debug)]
pub struct Tunnel {
    local: SocketAddr,
    task: JoinHandle<()>,
}

/// Where the SSH server is and who logs in.
struct Login<'a> {
    host: &'a str,
    port: u16,
    user: &'a str,
    proof: Proof<'a>,
}

enum Proof<'a> {
    Key(&'a SecretString),
    Password(&'a SecretString),
}

impl Tunnel {
    /// Logs in and opens a local port that leads to `host:port` as the SSH server sees it; `None` without tunnel.
    ///
    /// The SSH server's host key is not verified, as in Airbyte's connectors: the database connection
    /// inside the tunnel should use TLS where the way to the SSH server is not trusted.
    ///
    /// # Errors
    /// A config error when the login is refused or the key can't be read, a transient one when the
    /// server can't be reached within `timeout`.
    pub async fn open(
        method: &TunnelMethod,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Option<Self>> {
        let Some(login) = method.login() else {
            return Ok(None);
        };
        let opening = async {
            let session = Arc::new(login.connect().await?);
            let listener = TcpListener::bind(("127.0.0.1", 0)).await;
            let listener =
                listener.system_error("No local port could be opened for the SSH tunnel.")?;
            let local = listener
                .local_addr()
                .system_error("The local port of the SSH tunnel has no address.")?;
            let task = tokio::spawn(forward(listener, session, host.to_owned(), port));
            Ok(Some(Self { local, task }))
        };
        let opened = tokio::time::timeout(timeout, opening).await;
        opened.unwrap_or_else(|_| {
            Err(ConnectorError::transient(format!(
                "The SSH server {}:{} did not answer within {} s. Check `tunnel_host` and `tunnel_port`, and that \
                 a firewall lets this machine through.",
                login.host,
                login.port,
                timeout.as_secs()
            )))
        })
    }

    /// The port of 127.0.0.1 that leads through.
    pub fn local_port(&self) -> u16 {
        self.local.port()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TunnelMethod {
    fn login(&self) -> Option<Login<'_>> {
        match self {
            Self::None {} => None,
            Self::Key {
                tunnel_host,
                tunnel_port,
                tunnel_user,
                ssh_key,
            } => Some(Login {
                host: tunnel_host,
                port: *tunnel_port,
                user: tunnel_user,
                proof: Proof::Key(ssh_key),
            }),
            Self::Password {
                tunnel_host,
                tunnel_port,
                tunnel_user,
                tunnel_user_password,
            } => Some(Login {
                host: tunnel_host,
                port: *tunnel_port,
                user: tunnel_user,
                proof: Proof::Password(tunnel_user_password),
            }),
        }
    }
}

impl Login<'_> {
    async fn connect(&self) -> Result<Handle<AnyHost>> {
        let config = Arc::new(Config {
            keepalive_interval: Some(KEEP_ALIVE),
            keepalive_max: 3,
            nodelay: true,
            ..Config::default()
        });
        let (host, port) = (self.host, self.port);
        let mut session = russh::client::connect(config, (host, port), AnyHost).await.transient_error(format!(
            "The SSH server {host}:{port} can't be reached. Check `tunnel_host` and `tunnel_port`."
        ))?;
        let failed = format!("The login at the SSH server {host}:{port} failed.");
        let answer = match self.proof {
            Proof::Password(password) => session
                .authenticate_password(self.user, password.expose())
                .await
                .transient_error(failed)?,
            Proof::Key(key) => {
                let key = decode_secret_key(key.expose(), None).config_error(
                    "The SSH private key in `ssh_key` can't be read. Give the whole key without passphrase, \
                     including its BEGIN and END lines.",
                )?;
                let hash = session
                    .best_supported_rsa_hash()
                    .await
                    .transient_error(failed.clone())?;
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash.flatten());
                session
                    .authenticate_publickey(self.user, key)
                    .await
                    .transient_error(failed)?
            }
        };
        match answer {
            AuthResult::Success => Ok(session),
            AuthResult::Failure { .. } => Err(ConnectorError::config(format!(
                "The SSH server {host}:{port} refuses user {}. Check `tunnel_user` and its {}.",
                self.user,
                match self.proof {
                    Proof::Key(_) => "key in `ssh_key`",
                    Proof::Password(_) => "password in `tunnel_user_password`",
                }
            ))),
        }
    }
}

struct AnyHost;

impl Handler for AnyHost {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn forward(listener: TcpListener, session: Arc<Handle<AnyHost>>, host: String, port: u16) {
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "The SSH tunnel's local port took no connection.");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (session, host) = (Arc::clone(&session), host.clone());
        tokio::spawn(async move {
            if let Err(error) = pass(socket, peer, &session, &host, port).await {
                tracing::warn!(
                    "The connection to {host}:{port} through the SSH tunnel ended: {error}"
                );
            }
        });
    }
}

async fn pass(
    mut socket: TcpStream,
    peer: SocketAddr,
    session: &Handle<AnyHost>,
    host: &str,
    port: u16,
) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    socket.set_nodelay(true)?;
    let (from, from_port) = (peer.ip().to_string(), u32::from(peer.port()));
    let channel = session
        .channel_open_direct_tcpip(host, u32::from(port), from, from_port)
        .await?;
    let mut stream = channel.into_stream();
    tokio::io::copy_bidirectional(&mut socket, &mut stream).await?;
    Ok(())
}
