//! The rows of a selection, in the text form.

use mysql_common::constants::CapabilityFlags;

use super::failure::{Failure, server_error};
use super::packets::{Packet, Packets, broken};

/// Rows as they arrive. Read them to the end: the connection takes no other command before.
#[derive(Debug)]
pub struct Rows<'a> {
    packets: &'a mut Packets,
    capabilities: CapabilityFlags,
    columns: usize,
    is_over: bool,
}

impl<'a> Rows<'a> {
    /// Reads the head of the answer to a command.
    pub(super) async fn new(
        packets: &'a mut Packets,
        capabilities: CapabilityFlags,
    ) -> Result<Self, Failure> {
        let packet = packets.read().await?;
        let bytes = packets.bytes(&packet);
        let columns = match bytes.first() {
            Some(0xff) => return Err(server_error(bytes)),
            Some(0x00) => 0,
            Some(0xfb) => return Err(broken("the server asks for a local file").into()),
            _ => {
                let (columns, _) =
                    length(bytes).ok_or_else(|| broken("a result has no column count"))?;
                columns
            }
        };
        for _ in 0..columns {
            packets.read().await?;
        }
        let has_eof = !capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
        if columns > 0 && has_eof {
            packets.read().await?;
        }
        Ok(Self {
            packets,
            capabilities,
            columns,
            is_over: columns == 0,
        })
    }

    /// Number of columns; none for a statement that selects nothing.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The next row if it has arrived already.
    #[inline]
    pub fn try_next(&mut self) -> Result<Option<TextRow<'_>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let Some(packet) = self.packets.try_read()? else {
            return Ok(None);
        };
        self.row(&packet)
    }

    /// Waits for more rows; false when there are none. Rows handed out before are gone after this.
    pub async fn wait(&mut self) -> Result<bool, Failure> {
        if self.is_over {
            return Ok(false);
        }
        self.packets.fill().await?;
        Ok(true)
    }

    /// The next row, or `None` after the last.
    pub async fn next(&mut self) -> Result<Option<TextRow<'_>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let packet = self.packets.read().await?;
        self.row(&packet)
    }

    #[inline]
    fn row(&mut self, packet: &Packet) -> Result<Option<TextRow<'_>>, Failure> {
        let bytes = self.packets.bytes(packet);
        match bytes.first() {
            Some(0xff) => {
                self.is_over = true;
                Err(server_error(bytes))
            }
            // A row may begin with this byte too, if its first value has more than 16 MiB.
            Some(0xfe) if self.is_end(bytes.len()) => {
                self.is_over = true;
                Ok(None)
            }
            _ => Ok(Some(TextRow(bytes))),
        }
    }

    fn is_end(&self, length: usize) -> bool {
        match self
            .capabilities
            .contains(CapabilityFlags::CLIENT_DEPRECATE_EOF)
        {
            true => length < 0xff_ffff,
            false => length < 8,
        }
    }
}

/// One row: an iterator over its values, `None` for NULL.
#[derive(Debug, Clone, Copy)]
pub struct TextRow<'a>(&'a [u8]);

impl<'a> Iterator for TextRow<'a> {
    type Item = Result<Option<&'a [u8]>, Failure>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&first, rest) = self.0.split_first()?;
        if first == 0xfb {
            self.0 = rest;
            return Some(Ok(None));
        }
        let value = length(self.0).and_then(|(length, rest)| rest.split_at_checked(length));
        let Some((value, rest)) = value else {
            self.0 = &[];
            return Some(Err(broken("a value ends after its row").into()));
        };
        self.0 = rest;
        Some(Ok(Some(value)))
    }
}

/// A length as the protocol writes it, and what follows.
#[inline]
pub(crate) fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let size = match first {
        0..=0xfa => return Some((usize::from(*first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(size)?;
    let mut wide = [0; 8];
    wide.get_mut(..size)?.copy_from_slice(number);
    Some((usize::try_from(u64::from_le_bytes(wide)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_size_are_read() {
        let cases: [(&[u8], usize); 4] = [
            (&[0xfa], 250),
            (&[0xfc, 0xfb, 0], 251),
            (&[0xfd, 1, 0, 1], 65_537),
            (&[0xfe, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 24),
        ];
        for (bytes, expected) in cases {
            assert_eq!(length(bytes), Some((expected, &[][..])));
        }
        assert_eq!(length(&[0xfc, 1]), None);
    }

    #[test]
    fn nulls_empty_values_and_cut_values_are_told_apart() {
        let values: Vec<_> = TextRow(&[0xfb, 0, 2, b'a', b'b', 9, b'x']).collect();
        assert!(matches!(
            values[..3],
            [Ok(None), Ok(Some(b"")), Ok(Some(b"ab"))]
        ));
        assert!(values[3].is_err());
        assert_eq!(values.len(), 4);
    }
}
