//! Events of the binary log: their frame, and the bodies that are needed.

use std::io::Read as _;

use flate2::Crc;
use flate2::read::ZlibDecoder;

use super::reader::Reader;

/// One event without its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// When the statement began, in seconds since the Unix epoch.
    pub(crate) timestamp: u32,
    pub(crate) kind: u8,
    /// The server that ran it.
    pub(crate) server: u32,
    /// Where the next event begins; 0 for what the server made up for this stream.
    pub(crate) end: u32,
    /// Bytes of the whole event in the log.
    pub(crate) size: u32,
    pub(crate) body: &'a [u8],
}

pub(crate) const QUERY: u8 = 2;
pub(crate) const ROTATE: u8 = 4;
pub(crate) const FORMAT: u8 = 15;
pub(crate) const XID: u8 = 16;
pub(crate) const TABLE_MAP: u8 = 19;
pub(crate) const INCIDENT: u8 = 26;
pub(crate) const GTID: u8 = 33;
pub(crate) const ANONYMOUS_GTID: u8 = 34;
pub(crate) const XA_PREPARE: u8 = 38;
pub(crate) const PARTIAL_UPDATE: u8 = 39;
pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
pub(crate) const MARIADB_GTID: u8 = 162;
pub(crate) const MARIADB_QUERY_COMPRESSED: u8 = 165;

const HEADER_BYTES: usize = 19;
const CHECKSUM_BYTES: usize = 4;

/// A broken event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEvent(pub(crate) &'static str);

impl std::fmt::Display for BadEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadEvent {}

/// Cuts events out of what the server sends. Which of them end in a checksum is told by the format event of each file.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    has_checksums: bool,
}

impl Frames {
    pub(crate) fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Event<'a>, BadEvent> {
        let event = Self::without_checksum(bytes)?;
        match event.kind {
            // Always with a checksum, or at least the room for one, behind the byte that tells of the others.
            FORMAT => {
                let algorithm = event.body.len().checked_sub(CHECKSUM_BYTES + 1);
                let algorithm = algorithm.and_then(|at| event.body.get(at));
                self.has_checksums = algorithm == Some(&1);
                Ok(event)
            }
            // The first one comes before the format event.
            ROTATE => Ok(checked(bytes, event).unwrap_or(event)),
            _ if self.has_checksums => {
                checked(bytes, event).ok_or(BadEvent("an event does not match its checksum"))
            }
            _ => Ok(event),
        }
    }

    /// An event that stands inside another one and so has no checksum.
    pub(crate) fn without_checksum(bytes: &[u8]) -> Result<Event<'_>, BadEvent> {
        let mut header = Reader::new(bytes);
        let event = (|| {
            let (timestamp, kind) = (header.u32()?, header.u8()?);
            let server = header.u32()?;
            let (size, end) = (header.u32()?, header.u32()?);
            let _flags = header.u16()?;
            let body = bytes.get(HEADER_BYTES..)?;
            Some(Event {
                timestamp,
                kind,
                server,
                end,
                size,
                body,
            })
        })();
        event.ok_or(BadEvent("an event ends within its header"))
    }
}

/// The event without the checksum at its end, if it holds.
fn checked<'a>(bytes: &[u8], event: Event<'a>) -> Option<Event<'a>> {
    let (covered, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let mut crc = Crc::new();
    crc.update(covered);
    let (body, _) = event.body.split_last_chunk::<CHECKSUM_BYTES>()?;
    (crc.sum() == u32::from_le_bytes(*sum)).then_some(Event { body, ..event })
}

/// The file that a ROTATE event goes on with, and where in it.
pub(crate) fn rotation(body: &[u8]) -> Result<(String, u64), BadEvent> {
    let mut reader = Reader::new(body);
    let position = reader
        .u64()
        .ok_or(BadEvent("a ROTATE event has no position"))?;
    let file =
        std::str::from_utf8(reader.rest()).map_err(|_| BadEvent("a ROTATE event names no file"))?;
    Ok((file.to_owned(), position))
}

/// A statement in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The database it ran in.
    pub(crate) database: String,
    pub(crate) sql: String,
}

/// The statement of a QUERY event.
pub(crate) fn statement(event: &Event<'_>) -> Result<Statement, BadEvent> {
    let parsed = (|| {
        let mut reader = Reader::new(event.body);
        reader.skip(8)?;
        let database = usize::from(reader.u8()?);
        reader.skip(2)?;
        let variables = usize::from(reader.u16()?);
        reader.skip(variables)?;
        let database = reader.take(database)?;
        reader.skip(1)?;
        Some((database, reader.rest()))
    })();
    let (database, sql) = parsed.ok_or(BadEvent("a QUERY event is cut off"))?;
    let sql = match event.kind {
        MARIADB_QUERY_COMPRESSED => decompressed(sql)?,
        _ => sql.to_vec(),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Statement {
        database: text(database),
        sql: text(&sql),
    })
}

/// MariaDB's compressed part of an event: flags and the number of length bytes, the length, zlib.
pub(crate) fn decompressed(bytes: &[u8]) -> Result<Vec<u8>, BadEvent> {
    const BAD: BadEvent = BadEvent("a compressed event can't be read");
    let (head, rest) = bytes.split_first().ok_or(BAD)?;
    let (length, packed) = rest.split_at_checked(usize::from(head & 7)).ok_or(BAD)?;
    let length = length
        .iter()
        .fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    let mut out = Vec::new();
    // Never more than it says: the length is part of what the checksum covers.
    let mut decoder = ZlibDecoder::new(packed).take(length);
    decoder.read_to_end(&mut out).map_err(|_| BAD)?;
    match out.len() as u64 == length {
        true => Ok(out),
        false => Err(BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write as _;

    fn event(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = 7_u32.to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(((HEADER_BYTES + body.len()) as u32).to_le_bytes());
        bytes.extend(99_u32.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend_from_slice(body);
        bytes
    }

    fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
        let mut crc = Crc::new();
        crc.update(&bytes);
        bytes.extend(crc.sum().to_le_bytes());
        bytes
    }

    #[test]
    fn the_first_rotation_is_read_with_and_without_checksum() {
        let body = [&4_u64.to_le_bytes()[..], b"binlog.000001"].concat();
        for bytes in [event(ROTATE, &body), with_checksum(event(ROTATE, &body))] {
            let event = Frames::default().read(&bytes).unwrap();
            assert_eq!(rotation(event.body), Ok(("binlog.000001".to_owned(), 4)));
        }
    }

    #[test]
    fn a_changed_byte_is_found_by_its_checksum() {
        let mut frames = Frames {
            has_checksums: true,
        };
        let mut bytes = with_checksum(event(XID, &[1; 8]));
        assert_eq!(frames.read(&bytes).unwrap().body, [1; 8]);
        bytes[20] ^= 1;
        assert!(frames.read(&bytes).is_err());
    }

    #[test]
    fn a_compressed_statement_of_mariadb_is_read() {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(b"ALTER TABLE t ADD x INT").unwrap();
        let mut body = vec![0; 8];
        body.extend([2, 0, 0, 0, 0, b'd', b'b', 0, 0x81, 23]);
        body.extend(packed.finish().unwrap());
        let bytes = event(MARIADB_QUERY_COMPRESSED, &body);
        let event = Frames::without_checksum(&bytes).unwrap();
        let expected = Statement {
            database: "db".to_owned(),
            sql: "ALTER TABLE t ADD x INT".to_owned(),
        };
        assert_eq!(statement(&event), Ok(expected));
        assert!(decompressed(&[0x81, 24, 1, 2]).is_err());
    }
}
