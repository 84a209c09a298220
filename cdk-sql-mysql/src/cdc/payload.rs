//! Transactions that MySQL packs into one event.

use std::io::Read;

use crate::binlog::reader::Reader;

/// Whether MySQL packed the events of a transaction, and their bytes.
pub(super) fn payload(body: &[u8]) -> Option<(bool, &[u8])> {
    const END: usize = 0;
    const COMPRESSION: usize = 2;
    let mut reader = Reader::new(body);
    let mut is_packed = true;
    loop {
        let field = reader.length()?;
        if field == END {
            return Some((is_packed, reader.rest()));
        }
        let mut value = Reader::new(reader.sized()?);
        if field == COMPRESSION {
            // 0 is zstd, 255 none.
            is_packed = match value.length()? {
                0 => true,
                255 => false,
                _ => return None,
            };
        }
    }
}

/// Reads one event with its header into `bytes`; false at the end.
pub(super) fn read_event(reader: &mut impl Read, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    const SIZE_AT: usize = 9;
    const HEADER: usize = 19;
    bytes.clear();
    if reader.by_ref().take(HEADER as u64).read_to_end(bytes)? == 0 {
        return Ok(false);
    }
    let size = Reader::new(bytes.get(SIZE_AT..).unwrap_or_default())
        .u32()
        .unwrap_or_default() as usize;
    let rest = size.saturating_sub(HEADER);
    match reader.by_ref().take(rest as u64).read_to_end(bytes)? == rest && size >= HEADER {
        true => Ok(true),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 9];
        bytes.extend((19 + body.len() as u32).to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend_from_slice(body);
        bytes
    }

    /// The head that MySQL 8.0 writes: size of the payload, compression, size of the events, end.
    #[test]
    fn packed_and_plain_payloads_are_told_apart_and_their_events_cut() {
        let events = [event(b"one"), event(b""), event(b"three")];
        let plain = events.concat();
        let packed = zstd::encode_all(plain.as_slice(), 3).unwrap();
        for (compression, content) in [(&[2, 1, 0][..], packed), (&[2, 3, 0xfc, 255, 0][..], plain)]
        {
            let body = [&[1, 1, 9][..], compression, &[3, 1, 9, 0], &content].concat();
            let (is_packed, payload) = payload(&body).unwrap();
            let mut reader: Box<dyn Read> = match is_packed {
                true => Box::new(zstd::Decoder::with_buffer(payload).unwrap()),
                false => Box::new(payload),
            };
            let mut bytes = Vec::new();
            for expected in &events {
                assert!(read_event(&mut reader, &mut bytes).unwrap());
                assert_eq!(bytes, *expected);
            }
            assert!(!read_event(&mut reader, &mut bytes).unwrap());
        }
        assert_eq!(payload(&[2, 1, 7, 0]), None);
        assert!(read_event(&mut &event(b"cut")[..20], &mut Vec::new()).is_err());
    }
}
