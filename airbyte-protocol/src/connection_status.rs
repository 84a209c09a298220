//! CONNECTION_STATUS messages: the answer to `check`.

use crate::Extra;
use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;

wire_enum! {
    /// Whether a connection check passed.
    pub enum Status {
        /// The configuration works.
        Succeeded = "SUCCEEDED",
        /// It doesn't.
        Failed = "FAILED",
    }
}

wire_struct! {
    /// The answer to a connection check.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteConnectionStatus {
        /// Whether the check passed.
        required "status" status: Status,
        /// Why not, for the user.
        optional "message" message: String,
    }
}

impl AirbyteConnectionStatus {
    /// The check passed.
    #[must_use]
    pub fn succeeded() -> Self {
        Self {
            status: Status::Succeeded,
            message: None,
            extra: Extra::new(),
        }
    }

    /// The check failed; `message` tells the user why.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            status: Status::Failed,
            message: Some(message.into()),
            extra: Extra::new(),
        }
    }
}
