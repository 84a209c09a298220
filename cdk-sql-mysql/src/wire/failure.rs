//! What can go wrong on the wire, before anybody says what it means for the user.

use std::io;

/// Why an exchange with the server failed.
#[derive(Debug)]
pub enum Failure {
    /// The connection broke, or the other side does not keep to the protocol.
    Io(io::Error),
    /// TLS could not be set up.
    Tls(io::Error),
    /// The server does not offer TLS, which the settings ask for.
    NoTls,
    /// The account's way to log in sends the password, which is not done without TLS.
    NeedsEncryption,
    /// A way to log in that is not known here.
    Plugin(String),
    /// The server refuses.
    Server(ServerError),
}

/// An error of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Its number, such as 1045.
    pub code: u16,
    /// Its SQLSTATE.
    pub state: String,
    /// Its text.
    pub message: String,
}

impl Failure {
    /// The server's error number, if it is one of the server.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server(error) => Some(error.code),
            _ => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) | Self::Tls(error) => error.fmt(f),
            Self::NoTls => f.write_str("the server does not offer TLS"),
            Self::NeedsEncryption => f.write_str("the login needs an encrypted connection"),
            Self::Plugin(name) => write!(f, "unknown authentication plugin {name}"),
            Self::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) | Self::Tls(error) => error.source(),
            _ => None,
        }
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ERROR {} ({}): {}", self.code, self.state, self.message)
    }
}

/// The error in an ERR packet.
pub(crate) fn server_error(packet: &[u8]) -> Failure {
    let (code, text) = match packet {
        [0xff, low, high, text @ ..] => (u16::from_le_bytes([*low, *high]), text),
        _ => (0, packet),
    };
    let (state, message) = match text {
        [b'#', state @ ..] if state.len() >= 5 => state.split_at(5),
        _ => (&b"HY000"[..], text),
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Failure::Server(ServerError {
        code,
        state: text(state),
        message: text(message),
    })
}
