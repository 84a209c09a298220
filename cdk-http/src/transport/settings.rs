//! Settings of the transport.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cdk_core::SecretString;

/// Timeouts, proxies, certificates and the like of an [`HttpTransport`](super::HttpTransport).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TransportSettings {
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long the server may send nothing: before its answer, and within it.
    pub read_timeout: Duration,
    /// How long a whole exchange may take, body included. Without one, a body may take as long as it comes.
    pub total_timeout: Option<Duration>,
    /// Idle connections kept per host.
    pub idle_connections: usize,
    /// Redirects followed; those from https to an unprotected address never are.
    pub max_redirects: usize,
    /// Whether bodies packed with gzip, brotli, zstd or deflate are asked for and unpacked.
    pub decompress: bool,
    /// Whether cookies are kept and sent back.
    pub cookies: bool,
    /// Through which proxy. By default the one that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name.
    pub proxy: Proxy,
    /// Certificates of authorities (PEM) that are trusted beside the system's.
    pub ca_pem: Vec<String>,
    /// Files of such certificates.
    pub ca_files: Vec<PathBuf>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

/// Through which proxy requests go.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// As the environment says.
    #[default]
    Environment,
    /// None.
    Direct,
    /// This one, for all requests: an `http`, `https` or `socks5` URL, which may hold user and password.
    Url(SecretString),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url",
        })
    }
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(300),
            total_timeout: None,
            idle_connections: 40,
            max_redirects: 10,
            decompress: true,
            cookies: false,
            proxy: Proxy::Environment,
            ca_pem: Vec::new(),
            ca_files: Vec::new(),
            user_agent: Some(format!("cdk-http/{}", env!("CARGO_PKG_VERSION"))),
        }
    }
}

impl TransportSettings {
    /// The defaults, with the certificates that `REQUESTS_CA_BUNDLE` names (the variable of Airbyte's Python
    /// connectors). `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates by themselves.
    pub fn from_env() -> Self {
        let bundle = std::env::var_os("REQUESTS_CA_BUNDLE").filter(|path| !path.is_empty());
        Self {
            ca_files: bundle.into_iter().map(PathBuf::from).collect(),
            ..Self::default()
        }
    }

    /// Sets how long connecting may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the server may send nothing.
    #[must_use]
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Sets how long a whole exchange may take.
    #[must_use]
    pub fn with_total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = Some(timeout);
        self
    }

    /// Trusts these authorities (PEM) beside the system's.
    #[must_use]
    pub fn with_ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.ca_pem.push(pem.into());
        self
    }

    /// Sets the proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Keeps cookies and sends them back.
    #[must_use]
    pub fn with_cookies(mut self) -> Self {
        self.cookies = true;
        self
    }

    /// Takes bodies as the server packs them.
    #[must_use]
    pub fn without_decompression(mut self) -> Self {
        self.decompress = false;
        self
    }

    /// Sets the `User-Agent` header; `None` sends none.
    #[must_use]
    pub fn with_user_agent(mut self, agent: Option<String>) -> Self {
        self.user_agent = agent;
        self
    }
}
