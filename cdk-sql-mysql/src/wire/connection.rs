//! A logged-in connection.

use mysql_common::constants::CapabilityFlags;

use super::failure::{Failure, server_error};
use super::handshake::{Server, Session, log_in};
use super::packets::{ByteStream, Packets, broken};
use super::rows::Rows;
use crate::encryption::Encryption;
use crate::settings::Login;

const COM_QUERY: u8 = 0x03;
const COM_BINLOG_DUMP: u8 = 0x12;
const COM_REGISTER_SLAVE: u8 = 0x15;
const COM_BINLOG_DUMP_GTID: u8 = 0x1e;

/// The server ends the stream at the end of its log instead of waiting for more.
const DUMP_NON_BLOCK: u16 = 1;
const DUMP_THROUGH_GTID: u16 = 4;

/// A connection that runs one command at a time. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    packets: Packets,
    capabilities: CapabilityFlags,
    server: Server,
    is_encrypted: bool,
}

/// Where the stream of the binary log begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DumpStart<'a> {
    /// At an event's place in a file.
    Position { file: &'a str, position: u32 },
    /// MySQL: behind a set of transactions, in the form of the protocol.
    GtidSet(&'a [u8]),
}

impl Connection {
    /// Logs in over a connected stream.
    pub async fn open(
        stream: Box<dyn ByteStream>,
        login: &Login,
        encryption: &Encryption,
    ) -> Result<Self, Failure> {
        let session = log_in(stream, login, encryption).await?;
        let Session {
            packets,
            capabilities,
            server,
            is_encrypted,
        } = session;
        Ok(Self {
            packets,
            capabilities,
            server,
            is_encrypted,
        })
    }

    /// What the server told about itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Whether TLS is on.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Runs one statement and hands out its rows as they arrive.
    pub async fn select(&mut self, sql: &str) -> Result<Rows<'_>, Failure> {
        self.command(COM_QUERY, sql.as_bytes()).await?;
        Rows::new(&mut self.packets, self.capabilities).await
    }

    /// Runs one statement for its effect.
    pub async fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        let mut rows = self.select(sql).await?;
        while rows.next().await?.is_some() {}
        Ok(())
    }

    /// All rows of a small selection, as text.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let mut rows = self.select(sql).await?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().await? {
            let text = |value: Option<&[u8]>| {
                value.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            let values: Result<Vec<_>, _> = row.map(|value| value.map(text)).collect();
            all.push(values?);
        }
        Ok(all)
    }

    /// The first value of the first row.
    pub async fn value(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        let rows = self.rows(sql).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten()))
    }

    /// Makes this connection a replica's: from here on, [`Connection::next_event`] reads the binary log.
    pub(crate) async fn dump(
        &mut self,
        replica_id: u32,
        start: DumpStart<'_>,
        is_following: bool,
    ) -> Result<(), Failure> {
        // Tells the server that the replica understands checksums at the end of events.
        self.execute("SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'")
            .await?;
        let mut register = replica_id.to_le_bytes().to_vec();
        // No host, user, password, port, rank or source's id: they are only shown to administrators.
        register.extend([0; 13]);
        self.command(COM_REGISTER_SLAVE, &register).await?;
        Rows::new(&mut self.packets, self.capabilities).await?;
        let flags = if is_following { 0 } else { DUMP_NON_BLOCK };
        let mut body = Vec::new();
        match start {
            DumpStart::Position { file, position } => {
                body.extend(position.to_le_bytes());
                body.extend(flags.to_le_bytes());
                body.extend(replica_id.to_le_bytes());
                body.extend_from_slice(file.as_bytes());
                self.command(COM_BINLOG_DUMP, &body).await
            }
            DumpStart::GtidSet(set) => {
                body.extend((flags | DUMP_THROUGH_GTID).to_le_bytes());
                body.extend(replica_id.to_le_bytes());
                body.extend(0_u32.to_le_bytes());
                body.extend(4_u64.to_le_bytes());
                body.extend((set.len() as u32).to_le_bytes());
                body.extend_from_slice(set);
                self.command(COM_BINLOG_DUMP_GTID, &body).await
            }
        }
    }

    /// The next event of the binary log, header and checksum included; `None` at the end of the log.
    pub(crate) async fn next_event(&mut self) -> Result<Option<&[u8]>, Failure> {
        let packet = self.packets.read().await?;
        match self.packets.bytes(&packet) {
            [0x00, event @ ..] => Ok(Some(event)),
            bytes @ [0xff, ..] => Err(server_error(bytes)),
            [0xfe, ..] => Ok(None),
            _ => Err(broken("the binary log holds an unknown packet").into()),
        }
    }

    async fn command(&mut self, command: u8, body: &[u8]) -> Result<(), Failure> {
        self.packets.start_command();
        let mut payload = Vec::with_capacity(1 + body.len());
        payload.push(command);
        payload.extend_from_slice(body);
        Ok(self.packets.send(&payload).await?)
    }
}
