//! Connecting: every step with its own precise failure, and a session whose settings are known.

use std::net::SocketAddr;
use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};

use crate::error::{Place, explain};
use crate::settings::Settings;
use crate::wire::{Connection, Flavor};

/// A quiet connection is probed after this long: a server that is gone without a word must not be waited for.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What every session is set to: values do not depend on the server's defaults, a slow reader is not cut off.
const SESSION: &str = "SET time_zone = '+00:00', sql_mode = 'NO_BACKSLASH_ESCAPES', net_write_timeout = 86400, \
    net_read_timeout = 86400, wait_timeout = 86400, sql_select_limit = DEFAULT, sql_big_selects = 1";

impl Settings {
    /// Opens a connection and sets its session up.
    ///
    /// # Errors
    /// A config error when the user must act (wrong password, unknown host…), a transient one when the server
    /// can't be reached now. The message names host and port and says what to do.
    pub async fn connect(&self) -> Result<Connection> {
        let connected = tokio::time::timeout(self.timeout, self.open()).await;
        connected.unwrap_or_else(|_| Err(self.too_slow()))
    }

    async fn open(&self) -> Result<Connection> {
        let stream = self.tcp().await?;
        stream
            .set_nodelay(true)
            .transient_error("The connection was closed at once.")?;
        let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE);
        SockRef::from(&stream)
            .set_tcp_keepalive(&keep_alive)
            .transient_error("The connection was closed at once.")?;
        let opened = Connection::open(Box::new(stream), &self.login, &self.encryption).await;
        let place = Place::Server(self.address());
        let mut connection = opened.map_err(|failure| explain(failure, &place))?;
        let limit = match connection.server().flavor {
            Flavor::MariaDb => "max_statement_time",
            Flavor::MySql => "max_execution_time",
        };
        let own = self
            .variables
            .iter()
            .map(|variable| format!("SET SESSION {variable}"));
        let statements = [
            "SET NAMES utf8mb4".to_owned(),
            SESSION.to_owned(),
            format!("SET {limit} = 0"),
            "SET SESSION TRANSACTION READ ONLY".to_owned(),
        ];
        for statement in own.chain(statements) {
            let done = connection.execute(&statement).await;
            done.map_err(|failure| explain(failure, &place))?;
        }
        Ok(connection)
    }

    async fn tcp(&self) -> Result<TcpStream> {
        let (host, port) = match &self.tunnel {
            Some(tunnel) => ("127.0.0.1", tunnel.local_port()),
            None => (self.login.host.as_str(), self.port),
        };
        let found = lookup_host((host, port)).await.config_error(format!(
            "The host `{host}` is not known. Check `host`, and that this machine's DNS can resolve it."
        ))?;
        let addresses: Vec<SocketAddr> = found.collect();
        TcpStream::connect(addresses.as_slice()).await.map_err(|error| {
            let tried: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let tried = tried.join(", ");
            let message = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => format!(
                    "Nothing accepts connections at {} ({tried}). Check `host` and `port`, and that the server runs \
                     and listens on this address.",
                    self.address()
                ),
                _ => format!(
                    "{} ({tried}) can't be reached. Check `host` and `port`, and that a firewall lets this machine \
                     through.",
                    self.address()
                ),
            };
            ConnectorError::transient(message).caused_by(error)
        })
    }

    /// Host and port for messages.
    pub fn address(&self) -> String {
        format!("{}:{}", self.login.host, self.port)
    }

    fn too_slow(&self) -> ConnectorError {
        ConnectorError::transient(format!(
            "{} did not answer within {:.0} s. Check `host` and `port`, and that a firewall lets this machine through.",
            self.address(),
            self.timeout.as_secs_f64()
        ))
    }
}

/// How long connecting may take unless told otherwise; `check` answers within 10 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
