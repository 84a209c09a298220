//! Hashes and Base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;

use super::eval::Given;
use super::value::{Eval, Val, other_fault};

pub(super) fn apply(name: &str, value: &Val<'_>, args: &Given<'_>) -> Eval<String> {
    match name {
        "hash" => {
            let kind = args.get(0, "hash_type").unwrap_or(Val::text("md5"));
            // What is undefined hashes as the empty text it prints as.
            let mut bytes = value.to_text().into_owned();
            if let Some(salt) = args.get(1, "salt").filter(Val::is_true) {
                bytes.push_str(&salt.to_text());
            }
            match hash(&kind.to_text(), bytes.as_bytes()) {
                Some(text) => Ok(text),
                None => other_fault(format!("No hashing function named {}", kind.to_text())),
            }
        }
        "hmac" => {
            let kind = args.get(1, "hash_type").unwrap_or(Val::text("sha256"));
            if kind.to_text() != "sha256" {
                return other_fault(format!("hmac knows sha256, not {}", kind.to_text()));
            }
            let key = args.need(0, "key", name)?;
            let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key.to_text().as_bytes()) else {
                return other_fault("hmac does not take this key");
            };
            mac.update(value.to_text().as_bytes());
            Ok(hex(&mac.finalize().into_bytes()))
        }
        "base64decode" => {
            let text: String = text_of(value, name)?
                .chars()
                .filter(|letter| !letter.is_whitespace())
                .collect();
            let bytes = STANDARD
                .decode(&text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            bytes.map_or_else(|| other_fault("the text is no Base64 of UTF-8"), Ok)
        }
        // The CDK's `base64binascii_decode` encodes, whatever its name says.
        _ => Ok(STANDARD.encode(text_of(value, name)?)),
    }
}

fn text_of<'v>(value: &'v Val<'_>, name: &str) -> Eval<&'v str> {
    match value {
        Val::Str(text) => Ok(text),
        Val::Undefined(what) => Err(super::value::Fault::Undefined(what.clone().into_owned())),
        other => other_fault(format!("{name} needs a text, not {}", other.type_name())),
    }
}

fn hash(kind: &str, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        "md5" => hex(&md5::Md5::digest(bytes)),
        "sha1" => hex(&sha1::Sha1::digest(bytes)),
        "sha224" => hex(&sha2::Sha224::digest(bytes)),
        "sha256" => hex(&sha2::Sha256::digest(bytes)),
        "sha384" => hex(&sha2::Sha384::digest(bytes)),
        "sha512" => hex(&sha2::Sha512::digest(bytes)),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
