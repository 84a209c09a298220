//! A lean client: simple queries, COPY out and replication streams, decoded in place.

use std::collections::HashMap;
use std::io;

use bytes::{BufMut as _, BytesMut};
use cdk_core::{ConnectorError, Result};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};

use crate::connect::{Attempt, ConnectSettings, Socket};
use crate::error::{ServerError, broken, unexpected};
use crate::frames::{Frame, Frames};

/// A row of a simple query: every value as the server's text.
pub type TextRow = Vec<Option<String>>;

/// Set in every session, so that the server's texts are the same everywhere. What is not known to poolers
/// at login goes here and not into the startup message.
const PINNED: &str = "SET extra_float_digits = 3; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; \
    SET lc_monetary = 'C'; SET xmloption = 'content'; SET standard_conforming_strings = on";

/// A logged-in connection. One statement runs at a time; dropping the session ends it at the server.
#[derive(Debug)]
pub struct Session {
    socket: Socket,
    frames: Frames,
    parameters: HashMap<String, String>,
}

impl Session {
    pub(crate) async fn start(
        socket: Socket,
        settings: &ConnectSettings,
        is_replication: bool,
    ) -> std::result::Result<Self, Attempt> {
        let mut session = Self {
            socket,
            frames: Frames::new(),
            parameters: HashMap::new(),
        };
        let mut parameters = vec![
            ("user", settings.username.as_str()),
            ("database", &settings.database),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "UTC"),
            ("application_name", &settings.application_name),
        ];
        parameters.extend(
            settings
                .options
                .as_deref()
                .map(|options| ("options", options)),
        );
        if is_replication {
            parameters.push(("replication", "database"));
        }
        let mut out = BytesMut::new();
        frontend::startup_message(parameters, &mut out).map_err(|error| {
            Attempt::Failed(
                ConnectorError::config(
                    "`username`, `database` or `jdbc_url_params` contains a NUL character.",
                )
                .caused_by(error),
            )
        })?;
        session
            .send(&out)
            .await
            .map_err(|error| Attempt::Failed(broken(error, LOGIN)))?;
        session.authenticate(settings).await?;
        session
            .query(PINNED, LOGIN)
            .await
            .map_err(Attempt::Failed)?;
        Ok(session)
    }

    /// A value the server told at login, such as `server_version` or `server_encoding`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Runs statements and returns the rows of all of them. `doing` completes "… while", as in "reading the catalog".
    ///
    /// # Errors
    /// By SQLSTATE, see [`ServerError::during`]; the session can be used on.
    pub async fn query(&mut self, sql: &str, doing: &str) -> Result<Vec<TextRow>> {
        self.start_query(sql, doing).await?;
        let (mut rows, mut failed) = (Vec::new(), None);
        loop {
            let frame = self.message(doing).await?;
            let body = self.frames.body(&frame);
            match frame.tag {
                b'D' => {
                    rows.push(text_row(body).ok_or_else(|| unexpected("a row that is cut off"))?)
                }
                b'E' => failed = Some(ServerError::parse(body)),
                b'Z' => return failed.map_or(Ok(rows), |error| Err(error.during(doing))),
                // Descriptions, completions, the answer to an empty query.
                b'T' | b'C' | b'I' => {}
                tag => {
                    return Err(unexpected(&format!(
                        "message {:?} in a query",
                        char::from(tag)
                    )));
                }
            }
        }
    }

    /// Runs a query that yields one value, or none.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn value(&mut self, sql: &str, doing: &str) -> Result<Option<String>> {
        let rows = self.query(sql, doing).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .flatten())
    }

    /// Starts a `COPY … TO STDOUT`. All of it must be read before the session is used for anything else.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn copy_out<'a>(&'a mut self, sql: &str, doing: &'a str) -> Result<CopyOut<'a>> {
        self.start_copy(sql, doing, b'H').await?;
        Ok(CopyOut {
            session: self,
            doing,
            is_done: false,
        })
    }

    /// Starts a `START_REPLICATION`; the session becomes its stream, in two halves.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn copy_both(mut self, sql: &str, doing: &str) -> Result<(CopyReader, CopyWriter)> {
        self.start_copy(sql, doing, b'W').await?;
        let (read, write) = tokio::io::split(self.socket);
        let reader = CopyReader {
            socket: read,
            frames: self.frames,
        };
        let writer = CopyWriter {
            socket: write,
            out: BytesMut::new(),
        };
        Ok((reader, writer))
    }

    async fn start_copy(&mut self, sql: &str, doing: &str, expected: u8) -> Result<()> {
        self.start_query(sql, doing).await?;
        let mut failed: Option<ServerError> = None;
        loop {
            let frame = self.message(doing).await?;
            match frame.tag {
                tag if tag == expected => return Ok(()),
                b'E' => failed = Some(ServerError::parse(self.frames.body(&frame))),
                b'Z' => {
                    let none = || unexpected("the end of a statement that should have copied");
                    return Err(failed.map_or_else(none, |error| error.during(doing)));
                }
                // A COPY behind a SET or BEGIN in the same text.
                b'C' => {}
                tag => {
                    return Err(unexpected(&format!(
                        "message {:?} before a copy",
                        char::from(tag)
                    )));
                }
            }
        }
    }

    async fn start_query(&mut self, sql: &str, doing: &str) -> Result<()> {
        let mut out = BytesMut::with_capacity(sql.len() + 8);
        frontend::query(sql, &mut out).map_err(|error| {
            ConnectorError::config("A name or value contains a NUL character.").caused_by(error)
        })?;
        self.send(&out).await.map_err(|error| broken(error, doing))
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// The next message that is not talk beside the matter.
    async fn message(&mut self, doing: &str) -> Result<Frame> {
        loop {
            while let Some(frame) = self.frames.next().map_err(|error| broken(error, doing))? {
                if !self.overhears(&frame) {
                    return Ok(frame);
                }
            }
            self.frames
                .fill(&mut self.socket)
                .await
                .map_err(|error| broken(error, doing))?;
        }
    }

    /// Handles what a server may say at any time: notices, changed parameters, notifications.
    fn overhears(&mut self, frame: &Frame) -> bool {
        match frame.tag {
            b'N' => {
                let notice = ServerError::parse(self.frames.body(frame));
                tracing::debug!("PostgreSQL says: {notice}");
            }
            b'S' => {
                let mut texts = self.frames.body(frame).split(|byte| *byte == 0);
                let mut text = || {
                    texts
                        .next()
                        .map(|text| String::from_utf8_lossy(text).into_owned())
                };
                if let (Some(name), Some(value)) = (text(), text()) {
                    self.parameters.insert(name, value);
                }
            }
            b'A' => {}
            _ => return false,
        }
        true
    }

    async fn authenticate(
        &mut self,
        settings: &ConnectSettings,
    ) -> std::result::Result<(), Attempt> {
        let mut scram = None;
        loop {
            let frame = self.message(LOGIN).await.map_err(Attempt::Failed)?;
            let body = self.frames.body(&frame).to_vec();
            match frame.tag {
                b'R' => {
                    let answer = answer(&body, settings, &mut scram).map_err(Attempt::Failed)?;
                    self.send(&answer)
                        .await
                        .map_err(|error| Attempt::Failed(broken(error, LOGIN)))?;
                }
                b'E' => return Err(ServerError::parse(&body).into()),
                b'Z' => return Ok(()),
                // The key for cancel requests, protocol version negotiation.
                b'K' | b'v' => {}
                tag => {
                    let error = unexpected(&format!("message {:?} at login", char::from(tag)));
                    return Err(Attempt::Failed(error));
                }
            }
        }
    }
}

const LOGIN: &str = "logging in";

/// What to send back for an authentication message; nothing for those that need no answer.
fn answer(
    body: &[u8],
    settings: &ConnectSettings,
    scram: &mut Option<ScramSha256>,
) -> Result<BytesMut> {
    let cut = || unexpected("an authentication message that is cut off");
    let (kind, data) = body.split_first_chunk::<4>().ok_or_else(cut)?;
    let password = || {
        let password = settings
            .password
            .as_ref()
            .map(|password| password.expose().as_bytes());
        password
            .ok_or_else(|| ConnectorError::config("The server wants a password. Set `password`."))
    };
    let refused = |error: io::Error| {
        ConnectorError::config("The login with SCRAM failed. Check `password`.").caused_by(error)
    };
    let mut out = BytesMut::new();
    match i32::from_be_bytes(*kind) {
        0 => {}
        3 => frontend::password_message(password()?, &mut out).map_err(refused)?,
        5 => {
            let salt = data.first_chunk::<4>().ok_or_else(cut)?;
            let hash = md5_hash(settings.username.as_bytes(), password()?, *salt);
            frontend::password_message(hash.as_bytes(), &mut out).map_err(refused)?;
        }
        10 => {
            if !data
                .split(|byte| *byte == 0)
                .any(|name| name == SCRAM_SHA_256.as_bytes())
            {
                return Err(ConnectorError::config(
                    "The server offers no way to log in that this connector knows.",
                ));
            }
            let started =
                scram.insert(ScramSha256::new(password()?, ChannelBinding::unsupported()));
            frontend::sasl_initial_response(SCRAM_SHA_256, started.message(), &mut out)
                .map_err(refused)?;
        }
        11 => {
            let scram = scram.as_mut().ok_or_else(cut)?;
            scram.update(data).map_err(refused)?;
            frontend::sasl_response(scram.message(), &mut out).map_err(refused)?;
        }
        12 => scram
            .as_mut()
            .ok_or_else(cut)?
            .finish(data)
            .map_err(refused)?,
        other => {
            return Err(ConnectorError::config(
                "The server asks for a way to log in that this connector does not have (such as GSSAPI or SSPI). \
                 Give the user a password with SCRAM.",
            )
            .with_internal(format!("authentication request {other}")));
        }
    }
    Ok(out)
}

fn text_row(body: &[u8]) -> Option<TextRow> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let count = usize::try_from(i16::from_be_bytes(*count)).ok()?;
    let mut row = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let length = i32::from_be_bytes(*length);
        row.push(match usize::try_from(length) {
            Ok(length) => {
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
            Err(_) => None,
        });
    }
    Some(row)
}

/// A COPY out that is under way.
#[derive(Debug)]
pub struct CopyOut<'a> {
    session: &'a mut Session,
    doing: &'a str,
    is_done: bool,
}

impl CopyOut<'_> {
    /// The data of the next message that was received already. A server sends a row a message.
    #[inline]
    pub fn next_received(&mut self) -> Result<Option<&[u8]>> {
        loop {
            let session = &mut *self.session;
            let Some(frame) = session
                .frames
                .next()
                .map_err(|error| broken(error, self.doing))?
            else {
                return Ok(None);
            };
            if frame.tag == b'd' {
                return Ok(Some(self.session.frames.body(&frame)));
            }
            if self.handle(&frame)? {
                return Ok(None);
            }
        }
    }

    /// Receives more; false when the copy is complete.
    pub async fn receive(&mut self) -> Result<bool> {
        if self.is_done {
            return Ok(false);
        }
        let session = &mut *self.session;
        session
            .frames
            .fill(&mut session.socket)
            .await
            .map_err(|error| broken(error, self.doing))?;
        Ok(true)
    }

    #[cold]
    fn handle(&mut self, frame: &Frame) -> Result<bool> {
        match frame.tag {
            b'E' => {
                return Err(ServerError::parse(self.session.frames.body(frame)).during(self.doing));
            }
            b'Z' => self.is_done = true,
            // The end of the data, the completion of the statement.
            b'c' | b'C' => {}
            tag if !self.session.overhears(frame) => {
                return Err(unexpected(&format!(
                    "message {:?} in a copy",
                    char::from(tag)
                )));
            }
            _ => {}
        }
        Ok(self.is_done)
    }
}

/// The receiving end of a replication stream.
#[derive(Debug)]
pub struct CopyReader {
    socket: ReadHalf<Socket>,
    frames: Frames,
}

/// The sending end of a replication stream.
#[derive(Debug)]
pub struct CopyWriter {
    socket: WriteHalf<Socket>,
    out: BytesMut,
}

impl CopyReader {
    /// The next message that was received already.
    ///
    /// # Errors
    /// What the server reports; when it ends the stream.
    pub fn next_received(&mut self, doing: &str) -> Result<Option<&[u8]>> {
        loop {
            let Some(frame) = self.frames.next().map_err(|error| broken(error, doing))? else {
                return Ok(None);
            };
            match frame.tag {
                b'd' => return Ok(Some(self.frames.body(&frame))),
                b'E' => return Err(ServerError::parse(self.frames.body(&frame)).during(doing)),
                b'c' | b'C' | b'Z' => {
                    return Err(ConnectorError::transient(format!(
                        "PostgreSQL ended the stream of changes while {doing}."
                    )));
                }
                b'N' | b'S' | b'A' => {}
                tag => {
                    return Err(unexpected(&format!(
                        "message {:?} in a replication stream",
                        char::from(tag)
                    )));
                }
            }
        }
    }

    /// Receives more. Drop-safe.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn receive(&mut self, doing: &str) -> Result<()> {
        self.frames
            .fill(&mut self.socket)
            .await
            .map_err(|error| broken(error, doing))
    }
}

impl CopyReader {
    /// Reads on until the server has ended the stream and released what it held for it.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub async fn drain(&mut self, doing: &str) -> Result<()> {
        loop {
            while let Some(frame) = self.frames.next().map_err(|error| broken(error, doing))? {
                if frame.tag == b'Z' {
                    return Ok(());
                }
            }
            self.receive(doing).await?;
        }
    }
}

impl CopyWriter {
    /// Tells the server that nothing more comes; it ends the stream.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn end(&mut self, doing: &str) -> Result<()> {
        // CopyDone: no body.
        let sent = self.socket.write_all(b"c\0\0\0\x04").await;
        sent.map_err(|error| broken(error, doing))?;
        self.socket
            .flush()
            .await
            .map_err(|error| broken(error, doing))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, message: &[u8], doing: &str) -> Result<()> {
        self.out.clear();
        self.out.put_u8(b'd');
        let length =
            i32::try_from(message.len() + 4).map_err(|_| unexpected("an answer of gigabytes"))?;
        self.out.put_i32(length);
        self.out.put_slice(message);
        let sent = self.socket.write_all(&self.out).await;
        sent.map_err(|error| broken(error, doing))?;
        self.socket
            .flush()
            .await
            .map_err(|error| broken(error, doing))
    }
}
