//! Packets: the frames of the protocol over any byte stream.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A connected byte stream: TCP, TLS over TCP, or a tunnel.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> ByteStream for T {}

/// A frame of this length is continued by the next one.
const FULL_FRAME: usize = (1 << 24) - 1;

/// What is read at once.
const READ_BYTES: usize = 256 << 10;

/// Larger packets are refused: a row of this size could not become a record anyway.
const MAX_PACKET_BYTES: usize = 256 << 20;

/// Reads and writes packets. A packet that was read is borrowed from the buffer it arrived in.
pub(crate) struct Packets {
    stream: Box<dyn ByteStream>,
    buffer: Vec<u8>,
    /// What of the buffer was read and not handed out yet.
    unread: Range<usize>,
    /// A packet of several frames, put together.
    joined: Vec<u8>,
    sequence: u8,
    outgoing: Vec<u8>,
}

/// Where a packet lies; see [`Packets::bytes`].
#[derive(Debug, Clone)]
pub(crate) enum Packet {
    /// In the read buffer, until the next one is read.
    Single(Range<usize>),
    /// In the buffer of joined frames.
    Joined,
}

impl Packets {
    pub(crate) fn new(stream: Box<dyn ByteStream>) -> Self {
        Self {
            stream,
            buffer: vec![0; 8 << 10],
            unread: 0..0,
            joined: Vec::new(),
            sequence: 0,
            outgoing: Vec::new(),
        }
    }

    /// The stream itself, to put TLS over it.
    ///
    /// # Errors
    /// When bytes of the other side arrived early: before TLS is on, nobody may say anything.
    pub(crate) fn into_stream(self) -> io::Result<Box<dyn ByteStream>> {
        match self.unread.is_empty() {
            true => Ok(self.stream),
            false => Err(broken("the server spoke before TLS was on")),
        }
    }

    /// Continues the numbering of another connection phase.
    pub(crate) fn with_sequence(mut self, sequence: u8) -> Self {
        self.sequence = sequence;
        self
    }

    pub(crate) fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Starts a new exchange: commands are numbered from 0.
    pub(crate) fn start_command(&mut self) {
        self.sequence = 0;
    }

    /// Sends one packet, cut into frames.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.outgoing.clear();
        let mut chunks = payload.chunks(FULL_FRAME);
        // A full last frame is followed by an empty one.
        let is_exact = payload.len().is_multiple_of(FULL_FRAME);
        let last: &[u8] = &[];
        let chunks = std::iter::from_fn(|| chunks.next()).chain(is_exact.then_some(last));
        for chunk in chunks {
            let [low, middle, high, _] = (chunk.len() as u32).to_le_bytes();
            self.outgoing.extend([low, middle, high, self.sequence]);
            self.outgoing.extend_from_slice(chunk);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.stream.write_all(&self.outgoing).await?;
        self.stream.flush().await
    }

    /// Reads the next packet.
    pub(crate) async fn read(&mut self) -> io::Result<Packet> {
        loop {
            if let Some(packet) = self.try_read()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// The next packet if all of it has arrived.
    #[inline]
    pub(crate) fn try_read(&mut self) -> io::Result<Option<Packet>> {
        let Some((length, sequence)) = self.header() else {
            return Ok(None);
        };
        if length == FULL_FRAME {
            return self.try_join();
        }
        if self.unread.len() < 4 + length {
            return Ok(None);
        }
        self.sequence = sequence.wrapping_add(1);
        let start = self.unread.start + 4;
        self.unread.start = start + length;
        Ok(Some(Packet::Single(start..start + length)))
    }

    /// The bytes of the packet that was read last.
    #[inline]
    pub(crate) fn bytes(&self, packet: &Packet) -> &[u8] {
        match packet {
            Packet::Single(range) => self.buffer.get(range.clone()).unwrap_or_default(),
            Packet::Joined => &self.joined,
        }
    }

    fn header(&self) -> Option<(usize, u8)> {
        let bytes = self.buffer.get(self.unread.clone())?;
        match bytes {
            [low, middle, high, sequence, ..] => {
                let length = u32::from_le_bytes([*low, *middle, *high, 0]);
                Some((length as usize, *sequence))
            }
            _ => None,
        }
    }

    /// Puts a packet of several frames together once the last one is here.
    fn try_join(&mut self) -> io::Result<Option<Packet>> {
        let bytes = self.buffer.get(self.unread.clone()).unwrap_or_default();
        let (mut at, mut frames) = (0, Vec::new());
        loop {
            let Some([low, middle, high, sequence]) = bytes.get(at..at + 4) else {
                return too_large(bytes.len());
            };
            let length = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
            if bytes.len() < at + 4 + length {
                return too_large(bytes.len());
            }
            frames.push(at + 4..at + 4 + length);
            at += 4 + length;
            if length < FULL_FRAME {
                self.sequence = sequence.wrapping_add(1);
                break;
            }
        }
        self.joined.clear();
        for frame in frames {
            self.joined
                .extend_from_slice(bytes.get(frame).unwrap_or_default());
        }
        self.unread.start += at;
        Ok(Some(Packet::Joined))
    }

    /// Waits for more bytes. Packets handed out before are gone after this.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        self.make_room();
        let free = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
        match self.stream.read(free).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.end += read;
                Ok(())
            }
        }
    }

    fn make_room(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        let is_short = self.buffer.len() - self.unread.end < self.buffer.len() / 4;
        if is_short && self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.buffer.len() {
            let larger = (self.buffer.len() * 2).max(READ_BYTES);
            self.buffer.resize(larger, 0);
        }
        // What a large packet needed is given back.
        if self.unread.is_empty() && self.buffer.len() > 8 * READ_BYTES {
            self.buffer = vec![0; READ_BYTES];
            self.joined = Vec::new();
        }
    }
}

impl std::fmt::Debug for Packets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packets")
            .field("unread", &self.unread)
            .finish_non_exhaustive()
    }
}

fn too_large(bytes: usize) -> io::Result<Option<Packet>> {
    match bytes > MAX_PACKET_BYTES {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(None),
    }
}

/// The other side does not keep to the protocol.
pub(crate) fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_of_every_length_around_a_full_frame_arrive_whole() {
        for length in [0, 1, FULL_FRAME - 1, FULL_FRAME, FULL_FRAME + 1] {
            let (one, other) = tokio::io::duplex(1 << 16);
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (mut writer, mut reader) =
                (Packets::new(Box::new(one)), Packets::new(Box::new(other)));
            let sent = async {
                writer.send(&payload).await.unwrap();
                writer.send(b"next").await.unwrap();
            };
            let read = async {
                let packet = reader.read().await.unwrap();
                assert!(reader.bytes(&packet) == payload, "{length}");
                let packet = reader.read().await.unwrap();
                assert_eq!(reader.bytes(&packet), b"next");
            };
            tokio::join!(sent, read);
            assert_eq!(writer.sequence(), reader.sequence());
        }
    }

    #[tokio::test]
    async fn an_early_end_is_an_error_and_not_an_empty_packet() {
        let (one, other) = tokio::io::duplex(64);
        let mut reader = Packets::new(Box::new(other));
        let mut one = one;
        one.write_all(&[5, 0, 0, 0, 1, 2]).await.unwrap();
        drop(one);
        let error = reader.read().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
