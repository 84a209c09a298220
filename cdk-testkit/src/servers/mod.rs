//! Real servers for tests: private instances in a temporary directory on a free port, stopped with the test process.

mod guardian;
#[cfg(feature = "mariadb")]
pub mod mariadb;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "ssh")]
pub mod ssh;
#[cfg(feature = "tls")]
pub mod tls;

pub use guardian::{Guardian, ServiceUser, free_port};
