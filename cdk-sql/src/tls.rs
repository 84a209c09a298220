//! TLS by rustls with ring: how far a server is trusted, and who the client shows itself to be.

use std::sync::Arc;

use cdk_core::{ConnectorError, ErrorContext, Result, SecretString};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use schemars::JsonSchema;
use serde::Deserialize;

/// Certificates and keys, each PEM text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct Trust {
    /// Certificate of the authority that signed the server's certificate. Without it, the authorities
    /// that this machine trusts.
    #[serde(default)]
    #[schemars(title = "CA Certificate", extend("multiline" = true, "order" = 1))]
    pub ca_certificate: Option<SecretString>,
    /// Certificate to show to the server.
    #[serde(default)]
    #[schemars(title = "Client Certificate", extend("multiline" = true, "order" = 2))]
    pub client_certificate: Option<SecretString>,
    /// Private key of the client certificate.
    #[serde(default)]
    #[schemars(title = "Client Key", extend("multiline" = true, "order" = 3))]
    pub client_key: Option<SecretString>,
    /// Passphrase of the private key, if it has one.
    #[serde(default)]
    #[schemars(title = "Client Key Password", extend("order" = 4))]
    pub client_key_password: Option<SecretString>,
}

/// What a server's certificate must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Anything goes; only the handshake itself is verified.
    Nothing,
    /// It is signed by an authority that is trusted.
    Authority,
    /// It is also made for the host that was connected to.
    AuthorityAndHost,
}

/// The client side of TLS.
///
/// # Errors
/// A config error that names the key of [`Trust`] whose certificate or key can't be used.
pub fn client_config(verify: Verify, trust: &Trust) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match verify {
        Verify::AuthorityAndHost => verifier(trust, &provider)?,
        Verify::Authority => Arc::new(AnyName(verifier(trust, &provider)?)),
        Verify::Nothing => Arc::new(AnyServer(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .system_error("TLS could not be set up.")?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(certificate) = given(trust.client_certificate.as_ref()) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate, "client_certificate")?;
    let key = private_key(trust)?;
    builder.with_client_auth_cert(chain, key).config_error(
        "The client certificate and key can't be used. Check that `client_key` belongs to `client_certificate`.",
    )
}

fn given(text: Option<&SecretString>) -> Option<&str> {
    text.map(SecretString::expose)
        .filter(|text| !text.trim().is_empty())
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    match given(trust.ca_certificate.as_ref()) {
        Some(pem) => {
            for certificate in certificates(pem, "ca_certificate")? {
                roots
                    .add(certificate)
                    .config_error("The certificate in `ca_certificate` can't be used.")?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(ConnectorError::config(
            "There is no certificate authority to trust: give the server's in `ca_certificate`.",
        ));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .config_error("The certificate in `ca_certificate` can't be used.")
}

fn certificates(pem: &str, key: &str) -> Result<Vec<CertificateDer<'static>>> {
    let parsed: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let message = format!(
        "`{key}` holds no certificate. Give its PEM text, including the BEGIN and END lines."
    );
    let parsed = parsed.config_error(message.clone())?;
    match parsed.is_empty() {
        true => Err(ConnectorError::config(message)),
        false => Ok(parsed),
    }
}

fn private_key(trust: &Trust) -> Result<PrivateKeyDer<'static>> {
    const UNREADABLE: &str = "The private key in `client_key` can't be read. Give the PEM text of a PKCS #8 key, and its \
        passphrase in `client_key_password` if it has one.";
    let pem = given(trust.client_key.as_ref()).ok_or_else(|| {
        ConnectorError::config("`client_certificate` needs its private key in `client_key`.")
    })?;
    if !pem.contains("ENCRYPTED PRIVATE KEY") {
        return PrivateKeyDer::from_pem_slice(pem.as_bytes()).config_error(UNREADABLE);
    }
    let password = given(trust.client_key_password.as_ref()).unwrap_or_default();
    let (_, document) = pkcs8::Document::from_pem(pem).config_error(UNREADABLE)?;
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let encrypted = encrypted
        .map_err(|error| error.to_string())
        .config_error(UNREADABLE)?;
    let key = encrypted
        .decrypt(password)
        .map_err(|error| error.to_string())
        .config_error(
            "The private key in `client_key` can't be decrypted. Check `client_key_password`.",
        )?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
        key.as_bytes().to_vec(),
    )))
}

/// Trusts a certificate of the authority whatever host it is for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

/// Trusts every certificate.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The chain is verified before the name.
        match self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
