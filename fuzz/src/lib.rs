//! What must hold for any bytes. The fuzz targets and the tests of the crates (over the checked-in corpus) run the same
//! functions.

pub mod manifest;
pub mod postgres;
pub mod protocol;
