//! Cuts a stream of bytes into lines.

use std::fmt;
use std::io::{self, Read};

/// How much one read asks for at least.
const READ_BYTES: usize = 64 << 10;
/// A buffer that grew beyond this for a long line is given back once it is empty.
const KEEP_BYTES: usize = 1 << 20;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Cuts a stream of bytes into lines. Bytes are pushed in, lines are pulled out, so that it serves
/// blocking and async readers alike:
///
/// 1. read into [`spare`](Self::spare) and tell [`advance`](Self::advance) how much came
///    (or let [`fill_from`](Self::fill_from) do both);
/// 2. take lines from [`next_line`](Self::next_line) until it returns `None`;
/// 3. at the end of the input take the unterminated last line from [`finish`](Self::finish).
///
/// Lines come without `\n` or `\r\n`, and the first without a byte order mark. A line longer than
/// the limit is skipped in bounded memory and reported once. Memory stays below about twice the
/// longest line kept, as long as step 2 follows each step 1. A line's bytes are copied at most once
/// when it spans two reads (plus what the allocator moves when a long line makes the buffer grow).
#[derive(Debug)]
pub struct LineSplitter {
    buffer: Vec<u8>,
    /// The next line starts here.
    start: usize,
    /// No line break before this.
    searched: usize,
    /// The buffer holds input up to here.
    filled: usize,
    max_line_bytes: usize,
    /// Lines that ended, with the skipped ones.
    lines: u64,
    /// Bytes dropped so far of a line over the limit.
    skipped: Option<u64>,
}

/// A line was longer than the limit and is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong {
    /// The line's number; the first is 1.
    pub line: u64,
    /// Its length without the line feed.
    pub bytes: u64,
    /// The longest length allowed.
    pub max_bytes: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            bytes,
            max_bytes,
        } = self;
        write!(
            f,
            "line {line} has {bytes} bytes, more than the limit of {max_bytes}; \
             raise the limit or make the record smaller"
        )
    }
}

impl std::error::Error for LineTooLong {}

impl LineSplitter {
    /// Takes lines of up to `max_line_bytes` bytes, not counting the line feed.
    #[must_use]
    pub fn new(max_line_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            filled: 0,
            max_line_bytes,
            lines: 0,
            skipped: None,
        }
    }

    /// Room for at least `min` bytes of input (at least one, so that a read can make progress);
    /// call [`advance`](Self::advance) afterwards.
    pub fn spare(&mut self, min: usize) -> &mut [u8] {
        let min = min.max(1);
        if self.start == self.filled {
            self.restart(min);
        }
        if self.buffer.len() - self.filled < min {
            self.make_room(min);
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says that the first `bytes` bytes of [`spare`](Self::spare) hold input now; at most as many
    /// as it offered.
    pub fn advance(&mut self, bytes: usize) {
        self.filled = self.buffer.len().min(self.filled + bytes);
    }

    /// Reads once from `reader` and returns how many bytes came; 0 is the end of the input.
    ///
    /// # Errors
    /// What `reader` returns, except for interruptions, which are retried.
    pub fn fill_from(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        loop {
            match reader.read(self.spare(READ_BYTES)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(bytes) => {
                    self.advance(bytes);
                    return Ok(bytes);
                }
            }
        }
    }

    /// The next complete line, `None` if more input is needed.
    pub fn next_line(&mut self) -> Option<Result<&[u8], LineTooLong>> {
        let unsearched = self.buffer.get(self.searched..self.filled)?;
        let Some(found) = memchr::memchr(b'\n', unsearched) else {
            self.searched = self.filled;
            self.drop_excess();
            return None;
        };
        let end = self.searched + found;
        Some(self.take(end, end + 1))
    }

    /// The last line, if the input doesn't end with a line break. Call it once, at the end of the
    /// input, after `next_line` returned `None`.
    pub fn finish(&mut self) -> Option<Result<&[u8], LineTooLong>> {
        if self.start == self.filled && self.skipped.is_none() {
            return None;
        }
        Some(self.take(self.filled, self.filled))
    }

    /// The number of lines that ended so far, with those over the limit.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Ends the line at `end`; the next starts at `next`.
    fn take(&mut self, end: usize, next: usize) -> Result<&[u8], LineTooLong> {
        let start = std::mem::replace(&mut self.start, next);
        self.searched = next;
        self.lines += 1;
        let skipped = self.skipped.take();
        let bytes = end - start;
        if skipped.is_some() || bytes > self.max_line_bytes {
            return Err(LineTooLong {
                line: self.lines,
                bytes: skipped.unwrap_or(0) + bytes as u64,
                max_bytes: self.max_line_bytes,
            });
        }
        let line = self.buffer.get(start..end).unwrap_or_default();
        let line = if self.lines == 1 {
            line.strip_prefix(BOM).unwrap_or(line)
        } else {
            line
        };
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Forgets what came of a line that is over the limit already.
    fn drop_excess(&mut self) {
        let bytes = self.filled - self.start;
        if self.skipped.is_none() && bytes <= self.max_line_bytes {
            return;
        }
        *self.skipped.get_or_insert_default() += bytes as u64;
        (self.start, self.searched, self.filled) = (0, 0, 0);
    }

    /// All input is used up: begins at the front again, which is warm in the cache.
    fn restart(&mut self, min: usize) {
        (self.start, self.searched, self.filled) = (0, 0, 0);
        if self.buffer.len() > KEEP_BYTES.max(min) {
            self.buffer = Vec::new();
        }
    }

    fn make_room(&mut self, min: usize) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        let wanted = self.filled + min;
        if self.buffer.len() < wanted {
            // At least double, so that a long line is moved a few times only.
            let grown = wanted.max(self.buffer.len() * 2).max(READ_BYTES);
            self.buffer.resize(grown, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `piece` bytes and shows what comes out.
    fn split(input: &[u8], piece: usize, max: usize) -> Vec<Result<Vec<u8>, LineTooLong>> {
        let mut splitter = LineSplitter::new(max);
        let mut seen = Vec::new();
        for part in input.chunks(piece) {
            splitter.spare(part.len())[..part.len()].copy_from_slice(part);
            splitter.advance(part.len());
            while let Some(line) = splitter.next_line() {
                seen.push(line.map(<[u8]>::to_vec));
            }
        }
        seen.extend(splitter.finish().map(|line| line.map(<[u8]>::to_vec)));
        seen
    }

    fn ok(lines: &[&str]) -> Vec<Result<Vec<u8>, LineTooLong>> {
        lines
            .iter()
            .map(|line| Ok(line.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn ends_are_stripped_however_the_input_is_cut() {
        let input = "\u{feff}one\r\ntwo\n\n\u{feff}three\r\r\n\nlast";
        let expected = ok(&["one", "two", "", "\u{feff}three\r", "", "last"]);
        for piece in 1..=input.len() {
            assert_eq!(
                split(input.as_bytes(), piece, 100),
                expected,
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn too_long_lines_are_reported_once_and_the_rest_survives() {
        let input = "12345\n123456\nok\n1234567890";
        let too_long = |line, bytes| {
            Err(LineTooLong {
                line,
                bytes,
                max_bytes: 5,
            })
        };
        let mut expected = ok(&["12345", "ok"]);
        expected.insert(1, too_long(2, 6));
        expected.push(too_long(4, 10));
        for piece in 1..=input.len() {
            assert_eq!(
                split(input.as_bytes(), piece, 5),
                expected,
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn empty_input_has_no_lines() {
        assert_eq!(split(b"", 1, 5), []);
        assert_eq!(split(b"\n", 1, 5), ok(&[""]));
    }

    #[test]
    fn a_line_of_64_megabytes_works_and_its_memory_is_given_back() {
        let long = vec![b'x'; 64 << 20];
        let input = [&long[..], b"\nshort\n"].concat();
        let mut splitter = LineSplitter::new(64 << 20);
        let mut reader = &input[..];
        let mut lengths = Vec::new();
        while splitter.fill_from(&mut reader).unwrap() > 0 {
            while let Some(line) = splitter.next_line() {
                lengths.push(line.unwrap().len());
            }
        }
        assert_eq!(lengths, [64 << 20, 5]);
        splitter.spare(READ_BYTES);
        assert!(splitter.buffer.capacity() <= KEEP_BYTES);
        assert!(splitter.finish().is_none());
    }

    #[test]
    fn an_endless_line_is_skipped_in_bounded_memory() {
        let mut splitter = LineSplitter::new(1 << 20);
        let chunk = vec![b'x'; 1 << 16];
        for _ in 0..1000 {
            let mut reader = &chunk[..];
            while splitter.fill_from(&mut reader).unwrap() > 0 {
                assert!(splitter.next_line().is_none());
            }
        }
        assert!(
            splitter.buffer.len() <= 3 << 20,
            "{}",
            splitter.buffer.len()
        );
        let error = splitter.finish().unwrap().unwrap_err();
        assert_eq!((error.line, error.bytes), (1, 1000 << 16));
    }
}
