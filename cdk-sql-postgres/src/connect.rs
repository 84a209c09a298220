//! How to get to a server: directly or through an SSH tunnel, plain or encrypted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result, SecretString};
use cdk_sql::{Tunnel, TunnelMethod};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{ServerError, client_error};
use crate::session::Session;
use crate::ssl_mode::SslMode;

/// A quiet connection is probed after this long.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Where the server is and who logs in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// Name of the role.
    pub username: String,
    /// Its password, if it needs one.
    pub password: Option<SecretString>,
    /// Encryption.
    pub ssl_mode: SslMode,
    /// A way through an SSH server.
    pub tunnel: TunnelMethod,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
    /// The `options` of the session, such as `-c statement_timeout=60000`.
    pub options: Option<String>,
    /// For DNS, TCP, TLS and login together.
    pub connect_timeout: Duration,
}

impl ConnectSettings {
    /// Settings without password and tunnel, with TLS mode `prefer`, that give up after 8 s.
    pub fn new(host: &str, port: u16, database: &str, username: &str) -> Self {
        Self {
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            username: username.to_owned(),
            password: None,
            ssl_mode: SslMode::default(),
            tunnel: TunnelMethod::default(),
            application_name: "cdk".to_owned(),
            options: None,
            connect_timeout: Duration::from_secs(8),
        }
    }

    /// Takes over what Airbyte's `jdbc_url_params` (`a=b&c=d`, percent-encoded) say in the words of the JDBC driver:
    /// `options`, `connectTimeout` (seconds) and `ApplicationName`. Others have no meaning here and are named in a warning.
    ///
    /// # Errors
    /// A config error when a value can't be read.
    pub fn apply_jdbc_params(&mut self, params: &str) -> Result<()> {
        for pair in params.split('&').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value)
                .decode_utf8_lossy()
                .into_owned();
            match key.trim() {
                "options" => self.options = Some(value),
                "ApplicationName" => self.application_name = value,
                "connectTimeout" => {
                    let seconds: u64 = value.trim().parse().config_error(
                        "`connectTimeout` in `jdbc_url_params` must be a number of seconds.",
                    )?;
                    self.connect_timeout = Duration::from_secs(seconds.max(1));
                }
                other => tracing::warn!(
                    "`{other}` in `jdbc_url_params` has no meaning here and is ignored. Known are options, connectTimeout \
                     and ApplicationName."
                ),
            }
        }
        Ok(())
    }
}

/// Opens connections to one server. Cheap to clone; clones share the tunnel.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ConnectSettings,
    tls: TlsConnectorConfig,
    tunnel: Option<Tunnel>,
}

struct TlsConnectorConfig(Arc<rustls::ClientConfig>);

impl std::fmt::Debug for TlsConnectorConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnectorConfig")
    }
}

/// A stream of bytes to the server.
#[derive(Debug)]
pub enum Socket {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    /// Reads the certificates and opens the tunnel, if there is one. Connects to no server yet.
    ///
    /// # Errors
    /// A config error when a certificate or key can't be used or the tunnel's login is refused.
    pub async fn open(settings: ConnectSettings) -> Result<Self> {
        let tls = TlsConnectorConfig(Arc::new(settings.ssl_mode.client_config()?));
        let timeout = settings.connect_timeout;
        let tunnel = Tunnel::open(&settings.tunnel, &settings.host, settings.port, timeout).await?;
        Ok(Self(Arc::new(Inner {
            settings,
            tls,
            tunnel,
        })))
    }

    /// What it connects to.
    pub fn settings(&self) -> &ConnectSettings {
        &self.0.settings
    }

    /// Opens a session of the lean client that reads COPY and replication streams.
    ///
    /// # Errors
    /// Config errors say which setting is wrong (host, TLS, login, database); transient ones that the server
    /// can't be reached now.
    pub async fn session(&self) -> Result<Session> {
        self.login(false).await
    }

    /// The same for logical replication.
    pub async fn replication_session(&self) -> Result<Session> {
        self.login(true).await
    }

    /// Opens a `tokio-postgres` client; its connection runs as a task until the client is dropped.
    ///
    /// # Errors
    /// As [`Connector::session`].
    pub async fn client(&self) -> Result<tokio_postgres::Client> {
        let settings = &self.0.settings;
        let mut config = tokio_postgres::Config::new();
        config
            .user(&settings.username)
            .dbname(&settings.database)
            .application_name(&settings.application_name)
            // The socket is encrypted already where it is to be.
            .ssl_mode(tokio_postgres::config::SslMode::Disable);
        if let Some(password) = &settings.password {
            config.password(password.expose());
        }
        if let Some(options) = &settings.options {
            config.options(options);
        }
        let config = &config;
        self.in_time(|encrypt| async move {
            let socket = self.socket(encrypt).await.map_err(Attempt::Failed)?;
            let connected = config.connect_raw(socket, tokio_postgres::NoTls).await;
            let (client, connection) = connected.map_err(|error| {
                let code = error
                    .code()
                    .map(|code| code.code().to_owned())
                    .unwrap_or_default();
                Attempt::of(&code, client_error(error, "logging in"))
            })?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "A PostgreSQL connection ended.");
                }
            });
            Ok(client)
        })
        .await
    }

    async fn login(&self, is_replication: bool) -> Result<Session> {
        self.in_time(|encrypt| async move {
            let socket = self.socket(encrypt).await.map_err(Attempt::Failed)?;
            Session::start(socket, &self.0.settings, is_replication).await
        })
        .await
    }

    /// Tries with the encryption that the mode wants first, then with the one it allows.
    async fn in_time<T, F>(&self, attempt: impl Fn(Encrypt) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Attempt>>,
    {
        let settings = &self.0.settings;
        let (first, second) = match settings.ssl_mode {
            SslMode::Disable {} => (Encrypt::Never, None),
            SslMode::Allow {} => (Encrypt::Never, Some(Encrypt::Always)),
            SslMode::Prefer {} => (Encrypt::IfPossible, None),
            _ => (Encrypt::Always, None),
        };
        let trying = async {
            match (attempt(first).await, second) {
                (Err(Attempt::Refused(_)), Some(second)) => attempt(second).await,
                (tried, _) => tried,
            }
        };
        let tried = tokio::time::timeout(settings.connect_timeout, trying).await;
        match tried {
            Ok(tried) => tried.map_err(|attempt| match attempt {
                Attempt::Refused(error) | Attempt::Failed(error) => error,
            }),
            Err(_) => Err(ConnectorError::transient(format!(
                "PostgreSQL at {} did not answer within {} s. Check `host` and `port`, and that a firewall lets this \
                 machine through.",
                self.address(),
                settings.connect_timeout.as_secs()
            ))),
        }
    }

    /// Host and port for people.
    fn address(&self) -> String {
        let ConnectSettings { host, port, .. } = &self.0.settings;
        match self.0.tunnel {
            Some(_) => format!("{host}:{port} (through the SSH tunnel)"),
            None => format!("{host}:{port}"),
        }
    }

    async fn socket(&self, encrypt: Encrypt) -> Result<Socket> {
        let settings = &self.0.settings;
        let (host, port) = match &self.0.tunnel {
            Some(tunnel) => ("127.0.0.1", tunnel.local_port()),
            None => (settings.host.as_str(), settings.port),
        };
        let mut tcp = self.tcp(host, port).await?;
        if encrypt == Encrypt::Never {
            return Ok(Socket::Plain(tcp));
        }
        let broke = || {
            format!(
                "The connection to PostgreSQL at {} broke while TLS was asked for.",
                self.address()
            )
        };
        // SSLRequest: length 8, code 1234.5679. The answer is one byte.
        tcp.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
            .await
            .transient_error(broke())?;
        match tcp.read_u8().await.transient_error(broke())? {
            b'S' => self.encrypted(tcp).await,
            _ if encrypt == Encrypt::IfPossible => Ok(Socket::Plain(tcp)),
            _ => Err(ConnectorError::config(format!(
                "PostgreSQL at {} does not offer TLS, which `ssl_mode` asks for. Turn TLS on at the server, or choose \
                 another mode.",
                self.address()
            ))),
        }
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream> {
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| {
                let text = format!(
                    "The host name {host} can't be resolved. Check `host`, and this machine's DNS."
                );
                let is_passing = error.to_string().contains("emporary failure");
                match is_passing {
                    true => ConnectorError::transient(text).caused_by(error),
                    false => ConnectorError::config(text).caused_by(error),
                }
            })?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    tcp.set_nodelay(true)
                        .system_error("The socket takes no options.")?;
                    // A connection whose other end is gone without a word breaks after about two minutes.
                    let alive = TcpKeepalive::new()
                        .with_time(KEEP_ALIVE)
                        .with_interval(KEEP_ALIVE / 4);
                    SockRef::from(&tcp)
                        .set_tcp_keepalive(&alive)
                        .system_error("The socket takes no options.")?;
                    return Ok(tcp);
                }
                Err(error) => last = Some((address, error)),
            }
        }
        let Some((address, error)) = last else {
            return Err(ConnectorError::config(format!(
                "The host name {host} has no address. Check `host`."
            )));
        };
        let reason = match error.kind() {
            io::ErrorKind::ConnectionRefused => format!(
                "Nothing listens for PostgreSQL at {} ({address}): the connection was refused. Check `host` and `port`, \
                 and that the server runs and listens on that address.",
                self.address()
            ),
            _ => format!(
                "PostgreSQL at {} ({address}) can't be reached. Check `host` and `port`, and the network between.",
                self.address()
            ),
        };
        Err(ConnectorError::transient(reason).caused_by(error))
    }

    async fn encrypted(&self, tcp: TcpStream) -> Result<Socket> {
        let host = self.0.settings.host.as_str();
        let name = ServerName::try_from(host.to_owned()).config_error(format!(
            "The host {host} is no name that TLS can verify. Check `host`."
        ))?;
        let connector = TlsConnector::from(Arc::clone(&self.0.tls.0));
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
            Err(error) => {
                let is_tls = error
                    .get_ref()
                    .is_some_and(|inner| inner.is::<rustls::Error>());
                let text = format!(
                    "TLS with PostgreSQL at {} failed. Check `ssl_mode`: the certificates given there, and that `host` is \
                     the name the server's certificate is for.",
                    self.address()
                );
                Err(match is_tls {
                    true => ConnectorError::config(text).caused_by(error),
                    false => ConnectorError::transient(text).caused_by(error),
                })
            }
        }
    }
}

/// How one attempt to log in treats encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encrypt {
    Never,
    IfPossible,
    Always,
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The server does not let in who connects like this; another encryption may help.
    Refused(ConnectorError),
    Failed(ConnectorError),
}

impl Attempt {
    /// SQLSTATE 28000 is what the rules of pg_hba.conf answer.
    fn of(code: &str, error: ConnectorError) -> Self {
        match code {
            "28000" => Self::Refused(error),
            _ => Self::Failed(error),
        }
    }
}

impl From<ServerError> for Attempt {
    fn from(error: ServerError) -> Self {
        let code = error.code.clone();
        Self::of(&code, error.during("logging in"))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
