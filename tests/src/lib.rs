//! Tests of what a user meets. The code blocks of the README and of the book are the doctests below;
//! `tests/main` runs the built programs, and the commands that the documentation shows.

pub mod built;
pub mod markdown;

/// The README.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
pub struct Readme;

/// The book's chapter on embedding.
#[doc = include_str!("../../docs/embedding.md")]
#[cfg(doctest)]
pub struct Embedding;

/// The book's chapter on errors.
#[doc = include_str!("../../docs/errors.md")]
#[cfg(doctest)]
pub struct Errors;

/// The book's chapter on testing.
#[doc = include_str!("../../docs/testing.md")]
#[cfg(doctest)]
pub struct Testing;

/// The book's chapter on sources of HTTP APIs.
#[doc = include_str!("../../docs/http.md")]
#[cfg(doctest)]
pub struct Http;
