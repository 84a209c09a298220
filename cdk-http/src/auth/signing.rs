//! Keys that sign tokens.

use cdk_core::{ConnectorError, ErrorContext, Result};
use jsonwebtoken::{Algorithm, EncodingKey};

/// A private key, with the algorithm it signs by (RFC 7518, RFC 8037, RFC 8812).
///
/// The algorithms `ES512` and `ES256K` and keys behind passphrases need the feature `all-keys`.
pub struct SigningKey(Key);

enum Key {
    Common(Algorithm, EncodingKey),
    #[cfg(feature = "all-keys")]
    P521(p521::ecdsa::SigningKey),
    #[cfg(feature = "all-keys")]
    K256(k256::ecdsa::SigningKey),
}

/// The names of the algorithms.
const NAMES: &str = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, ES256K, EdDSA";

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// A config error if there is no algorithm of that name.
    pub fn check_algorithm(name: &str) -> Result<()> {
        if NAMES.split(", ").any(|known| known == name) {
            return Ok(());
        }
        Err(ConnectorError::config(format!(
            "The algorithm `{name}` can't sign tokens here. Known: {NAMES}."
        )))
    }

    /// Reads a key: the secret itself for the HS algorithms, PEM text (PKCS#8; for RS and PS also PKCS#1) for the others.
    ///
    /// A passphrase opens PEM text that says `BEGIN ENCRYPTED PRIVATE KEY`. Errors are config errors without a word of the
    /// key.
    pub fn new(algorithm: &str, key: &str, passphrase: Option<&str>) -> Result<Self> {
        Self::check_algorithm(algorithm)?;
        if algorithm.starts_with("HS") {
            let secret = EncodingKey::from_secret(key.as_bytes());
            return Ok(Self(Key::Common(common(algorithm)?, secret)));
        }
        // A key that was pasted into a one-line field.
        let pem = key.replace("\\n", "\n");
        let pem = match passphrase {
            Some(passphrase) => opened(&pem, passphrase)?,
            None => pem,
        };
        let pem = pem.trim();
        let read = match algorithm {
            #[cfg(feature = "all-keys")]
            "ES512" => {
                use p521::pkcs8::DecodePrivateKey as _;
                let key = p521::ecdsa::SigningKey::from_pkcs8_pem(pem);
                return key
                    .config_error(unusable(algorithm))
                    .map(|key| Self(Key::P521(key)));
            }
            #[cfg(feature = "all-keys")]
            "ES256K" => {
                use k256::pkcs8::DecodePrivateKey as _;
                let key = k256::ecdsa::SigningKey::from_pkcs8_pem(pem);
                return key
                    .config_error(unusable(algorithm))
                    .map(|key| Self(Key::K256(key)));
            }
            "ES256" | "ES384" => EncodingKey::from_ec_pem(pem.as_bytes()),
            "EdDSA" => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let key = read.config_error(unusable(algorithm))?;
        Ok(Self(Key::Common(common(algorithm)?, key)))
    }

    /// The signature of a message, as the bytes that a token carries in base64url.
    pub fn sign(&self, message: &[u8]) -> Result<String> {
        match &self.0 {
            Key::Common(algorithm, key) => jsonwebtoken::crypto::sign(message, key, *algorithm)
                .config_error(unusable(&format!("{algorithm:?}"))),
            #[cfg(feature = "all-keys")]
            Key::P521(key) => {
                use p521::ecdsa::signature::Signer as _;
                let signature: p521::ecdsa::Signature = key.sign(message);
                Ok(encoded(&signature.to_bytes()))
            }
            #[cfg(feature = "all-keys")]
            Key::K256(key) => {
                use k256::ecdsa::signature::Signer as _;
                let signature: k256::ecdsa::Signature = key.sign(message);
                Ok(encoded(&signature.to_bytes()))
            }
        }
    }
}

/// The algorithms that need no feature.
fn common(name: &str) -> Result<Algorithm> {
    name.parse().config_error(format!(
        "The algorithm `{name}` is left out of this program: build it with the feature `all-keys` of cdk-http."
    ))
}

fn unusable(algorithm: &str) -> String {
    format!(
        "The key that signs tokens can't sign with {algorithm}: it must be a private key of that kind as PEM text in PKCS#8 \
         form (-----BEGIN PRIVATE KEY-----); a key behind a passphrase (-----BEGIN ENCRYPTED PRIVATE KEY-----) needs the \
         passphrase too."
    )
}

#[cfg(feature = "all-keys")]
fn encoded(signature: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature)
}

/// The PEM text of a key that a passphrase protects. A key that is not protected is as it is.
#[cfg(feature = "all-keys")]
fn opened(pem: &str, passphrase: &str) -> Result<String> {
    use pkcs8::EncryptedPrivateKeyInfoRef;
    use pkcs8::der::pem::{LineEnding, PemLabel};
    use pkcs8::der::{Decode, SecretDocument};

    const UNREADABLE: &str = "The key that signs tokens can't be opened with its passphrase. Check both; a key in OpenSSL's old \
         form (Proc-Type: 4,ENCRYPTED) has to be converted: openssl pkcs8 -topk8 -in old.pem -out new.pem";
    if !pem.contains(EncryptedPrivateKeyInfoRef::PEM_LABEL) {
        return match pem.contains("4,ENCRYPTED") {
            true => Err(ConnectorError::config(UNREADABLE)),
            false => Ok(pem.to_owned()),
        };
    }
    let (_, document) = SecretDocument::from_pem(pem.trim()).config_error(UNREADABLE)?;
    let encrypted =
        EncryptedPrivateKeyInfoRef::from_der(document.as_bytes()).config_error(UNREADABLE)?;
    let key = encrypted.decrypt(passphrase).config_error(UNREADABLE)?;
    let pem = key
        .to_pem(pkcs8::PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
        .config_error(UNREADABLE)?;
    Ok(pem.as_str().to_owned())
}

#[cfg(not(feature = "all-keys"))]
fn opened(_: &str, _: &str) -> Result<String> {
    Err(ConnectorError::config(
        "Keys behind passphrases are left out of this program: build it with the feature `all-keys` of cdk-http.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_algorithms_are_config_errors_that_name_the_known_ones() {
        let error = SigningKey::new("none", "x", None).unwrap_err();
        assert!(error.message().contains("ES512"), "{error}");
    }

    /// Keys and signatures were made with Python's `cryptography`.
    #[test]
    fn deterministic_algorithms_sign_as_other_libraries_do() {
        for (algorithm, pem, expected) in [
            (
                "RS256",
                include_str!("keys/rs256.pem"),
                "F1FTqoRoORZQhTWcQNrtpPhBVhXHopgDQBLTc6g8myeXzPux_YNx_8yJ9iEK5Ih1jkdKBcF50rFwanmQ9rcLO6Ym3qV_WEIAht20j3HDxXjBSRnZoJaripK841Xzw3Vo_A7FC823IcErTcHIBAZJXLVScUhmdzGV5XLkqYZni2qmGO8RFsN7KSwrExyKR2WTUJkIhHY2W0vaQoNhARmKy0FvWVF2KTOVpP9ZrtwmGB7bN8aNclY_Q69MUyeR-dyqfAsb4tsDRRFsJN3ejblf1Z6XiFcll4WuGaCFhGd2GtsGyyZTA61r_0R4XBFGg5lEpATuclR35GW0C7FhIbjAwQ",
            ),
            (
                "EdDSA",
                include_str!("keys/eddsa.pem"),
                "TaqgEWQtIA3GI8LzsLAAQ2vOG5IA7oonYTCUICSI6JFuGv6hFHpZiEAfQwm03Xke9y9xzzvkK7DRjev6XSx2Aw",
            ),
        ] {
            let key = SigningKey::new(algorithm, pem, None).unwrap();
            assert_eq!(key.sign(b"message").unwrap(), expected, "{algorithm}");
        }
    }

    #[cfg(feature = "all-keys")]
    mod all_keys {
        use super::*;

        /// Made for these tests with Python's `cryptography`, which found the signatures good.
        const P521: &str = include_str!("keys/es512.pem");
        const K256: &str = include_str!("keys/es256k.pem");
        const OPEN: &str = include_str!("keys/es256.pem");
        const LOCKED: &str = include_str!("keys/locked.pem");

        fn signed(algorithm: &str, pem: &str, passphrase: Option<&str>) -> String {
            let key = SigningKey::new(algorithm, pem, passphrase).unwrap();
            key.sign(b"message").unwrap()
        }

        #[test]
        fn the_rarer_curves_sign_deterministically() {
            assert_eq!(
                signed("ES512", P521, None),
                "AI1vZk_ZlqJd7icbSl_sT2yMyQwg4RqYxW8cUELvNZxeCjjpB_v3qt1YAxM6NcUjA0jlByMh4HgRGNQl9oEuZqwTAPyNGX-ue9hClp5fSclsb8XZaN1ww-xQ4MFGO1jH--ZXziuPBMYeisyT7YDBu-UdLxzMF7E6DwIDys2UOujoi6Me"
            );
            assert_eq!(
                signed("ES256K", K256, None),
                "vIJroAUuZvbwp5t83N7tnHxiacM8Fww99QOPqLV4TvMx0ZkzKDZtKP3U2sMt5kiz-DThnmc4DDxdIk3loA2_vA"
            );
        }

        #[test]
        fn a_passphrase_opens_a_locked_key_and_leaves_an_open_one() {
            let expected = signed("ES256", OPEN, None);
            for pem in [LOCKED, OPEN, &LOCKED.replace('\n', "\\n")] {
                assert_eq!(signed("ES256", pem, Some("open sesame")), expected);
            }
        }

        #[test]
        fn a_locked_key_without_its_passphrase_is_a_config_error() {
            for (passphrase, expected) in [(None, "passphrase too"), (Some("wrong"), "Check both")]
            {
                let error = SigningKey::new("ES256", LOCKED, passphrase).unwrap_err();
                assert!(error.message().contains(expected), "{error}");
            }
            let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
            let error = SigningKey::new("RS256", old, Some("x")).unwrap_err();
            assert!(error.message().contains("openssl pkcs8"), "{error}");
        }
    }
}
