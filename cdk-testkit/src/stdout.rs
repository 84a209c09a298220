//! What stands for stdout.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Keeps what is printed, and cancels a token at a text it is told to look for.
#[derive(Clone)]
pub(crate) struct Stdout {
    printed: Arc<Mutex<Vec<u8>>>,
    stop_at: Option<String>,
    stop: CancellationToken,
}

impl Stdout {
    pub(crate) fn new(stop_at: Option<String>, stop: CancellationToken) -> Self {
        Self {
            printed: Arc::default(),
            stop_at: stop_at.filter(|text| !text.is_empty()),
            stop,
        }
    }

    pub(crate) fn text(&self) -> String {
        let printed = self.printed().clone();
        String::from_utf8(printed).unwrap_or_else(|error| panic!("stdout is no UTF-8: {error}"))
    }

    fn printed(&self) -> MutexGuard<'_, Vec<u8>> {
        // A writer that panicked has ended the run; what it wrote before is still what was printed.
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut printed = self.printed();
        let before = printed.len();
        printed.extend_from_slice(bytes);
        if let Some(text) = self.stop_at.as_deref().map(str::as_bytes) {
            // The text may have begun in an earlier write.
            let from = before.saturating_sub(text.len() - 1);
            let mut windows = printed[from..].windows(text.len());
            if !self.stop.is_cancelled() && windows.any(|window| window == text) {
                self.stop.cancel();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_comes_in_pieces_stops_the_run() {
        let stop = CancellationToken::new();
        let mut stdout = Stdout::new(Some("RECORD".to_owned()), stop.clone());
        for piece in ["{\"type\":\"REC", "OR"] {
            assert_eq!(stdout.write(piece.as_bytes()).ok(), Some(piece.len()));
            assert!(!stop.is_cancelled());
        }
        assert_eq!(stdout.write(b"D\"").ok(), Some(2));
        assert!(stop.is_cancelled());
        assert_eq!(stdout.text(), "{\"type\":\"RECORD\"");
    }
}
