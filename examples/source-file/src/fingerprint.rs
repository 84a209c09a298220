//! What tells one version of a file from another.

use serde::{Deserialize, Serialize};

/// Size, time and tag of a file, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// Bytes, as stored or transferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// When it was changed last, in the storage's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) modified: Option<String>,
    /// The server's tag of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

impl Fingerprint {
    /// Whether another version would surely have another fingerprint. A size alone does not tell.
    pub(crate) fn is_telling(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }

    /// Whether the two must be of different versions. What one side does not say is no difference:
    /// servers leave out of partial responses what they said in the first one.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.zip(b).is_some_and(|(a, b)| a != b)
        }
        differ(self.size.as_ref(), other.size.as_ref())
            || differ(self.modified.as_ref(), other.modified.as_ref())
            || differ(self.etag.as_ref(), other.etag.as_ref())
    }

    /// The tag for an `If-Range` header: weak ones are not allowed there (RFC 9110, 13.1.5).
    pub(crate) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/"))
    }
}
