//! The source against servers that answer as APIs do.

mod guide;
mod pages;
mod support;
