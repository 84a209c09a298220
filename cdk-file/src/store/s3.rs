//! Buckets of Amazon S3, MinIO and others that speak its protocol.

use std::sync::Arc;
use std::time::Duration;

use cdk_core::{ConnectorError, Result, SecretString};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientOptions, RetryConfig};
use tokio::runtime::Handle;

use super::{Store, error};

/// Which bucket, and how to get in.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// Its region; empty for the one in the environment, or us-east-1.
    pub region: String,
    /// Another server than Amazon's: a URL of scheme http or https.
    pub endpoint: Option<String>,
    /// A key and its secret; without one the environment decides: variables, a web identity, the machine's role.
    pub key: Option<(SecretString, SecretString)>,
    /// The role to take on with the web identity in the environment.
    pub role_arn: Option<String>,
    /// Tries again for this long when the store doesn't answer or is overloaded.
    pub retry: Duration,
}

impl Store {
    pub(super) fn s3(options: &S3Options) -> Result<Self> {
        // Whoever embeds this may have chosen a provider before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let name = match &options.endpoint {
            Some(endpoint) => format!("bucket `{}` at {endpoint}", options.bucket),
            None => format!("bucket `{}`", options.bucket),
        };
        let s3 = Arc::new(
            builder(options)?
                .build()
                .map_err(|error| error::classified("open", &name, &error))?,
        );
        let objects: Arc<dyn object_store::ObjectStore> =
            Arc::<object_store::aws::AmazonS3>::clone(&s3);
        Ok(Self {
            objects,
            s3: Some(s3),
            root: None,
            name: name.into(),
            runtime: Handle::current(),
            file_limit: None,
        })
    }
}

fn builder(options: &S3Options) -> Result<AmazonS3Builder> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&options.bucket)
        .with_retry(RetryConfig {
            retry_timeout: options.retry,
            ..RetryConfig::default()
        });
    let mut client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(120));
    if let Some(endpoint) = &options.endpoint {
        let endpoint = endpoint.trim().trim_end_matches('/');
        let is_plain = endpoint.starts_with("http://");
        if !is_plain && !endpoint.starts_with("https://") {
            return Err(ConnectorError::config(format!(
                "`s3_endpoint` is `{endpoint}`, which is no URL: begin it with http:// or https://."
            )));
        }
        client = client.with_allow_http(is_plain);
        // A server of one's own has no name per bucket.
        builder = builder
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(false);
    }
    let region = options.region.trim();
    if !region.is_empty() {
        builder = builder.with_region(region);
    } else if builder
        .get_config_value(&AmazonS3ConfigKey::Region)
        .is_none()
    {
        builder = builder.with_region("us-east-1");
    }
    if let Some((key, secret)) = &options.key {
        builder = builder
            .with_access_key_id(key.expose())
            .with_secret_access_key(secret.expose());
    }
    if let Some(role) = &options.role_arn {
        if builder
            .get_config_value(&AmazonS3ConfigKey::WebIdentityTokenFile)
            .is_none()
        {
            return Err(ConnectorError::config(
                "`role_arn` is set, but the environment has no web identity to take on the role with: set \
                 AWS_WEB_IDENTITY_TOKEN_FILE, or use an access key.",
            ));
        }
        builder = builder.with_config(AmazonS3ConfigKey::RoleArn, role);
    }
    Ok(builder.with_client_options(client))
}
