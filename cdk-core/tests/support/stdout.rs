//! Stdouts that do something at a byte they see.

use std::io::{self, Write};

use crate::support::run::Captured;

/// Keeps everything; calls once `trip` when it has seen this many bytes.
pub(crate) struct Tripwire<F> {
    inner: Captured,
    left: usize,
    trip: Option<F>,
}

impl<F: FnOnce()> Tripwire<F> {
    pub(crate) fn new(inner: Captured, after: usize, trip: F) -> Self {
        Self {
            inner,
            left: after,
            trip: Some(trip),
        }
    }
}

impl<F: FnOnce()> Write for Tripwire<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.saturating_sub(bytes.len());
        if self.left == 0
            && let Some(trip) = self.trip.take()
        {
            trip();
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes this many bytes and then fails for ever.
pub(crate) struct Failing {
    left: usize,
    error: fn() -> io::Error,
}

impl Failing {
    pub(crate) fn after(left: usize, error: fn() -> io::Error) -> Self {
        Self { left, error }
    }
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err((self.error)());
        }
        let taken = bytes.len().min(self.left);
        self.left -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
