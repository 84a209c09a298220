//! The connector's config.

use std::time::Duration;

use cdk_core::{ConnectorError, Result, SecretString};
use cdk_file::FileSettings;
use cdk_file::config::{AvroConfig, FlatteningConfig, ParquetConfig};
use cdk_file::format::{FileFormat, FileOptions, TextFormat};
use cdk_file::path::Layout;
use cdk_file::store::{Location, S3Options};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where and how to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "S3 Destination Spec")]
pub struct Config {
    /// The access key. Without one, the environment decides: its variables, a web identity, the machine's role.
    #[schemars(title = "S3 Key ID", extend("order" = 0, "airbyte_secret" = true, "always_show" = true), example = &"A012345678910EXAMPLE")]
    pub access_key_id: Option<SecretString>,
    /// The access key's secret.
    #[schemars(title = "S3 Access Key", extend("order" = 1, "always_show" = true), example = &"a012345678910ABCDEFGH/AbCdEfGhEXAMPLEKEY")]
    pub secret_access_key: Option<SecretString>,
    /// The role to take on with the web identity that the environment gives (AWS_WEB_IDENTITY_TOKEN_FILE).
    #[schemars(title = "Role ARN", extend("order" = 2), example = &"arn:aws:iam::123456789:role/writer")]
    pub role_arn: Option<String>,
    /// The bucket. It must exist.
    #[schemars(title = "S3 Bucket Name", extend("order" = 3), example = &"airbyte_sync")]
    pub s3_bucket_name: String,
    /// The folder in the bucket. It may hold the variables of the path format; where it holds ${STREAM_NAME} and
    /// there is no path format, the format's folders are left out.
    #[schemars(title = "S3 Bucket Path", extend("order" = 4), example = &"data_sync/test")]
    pub s3_bucket_path: String,
    /// The bucket's region. May be empty for stores that have none, such as MinIO.
    #[serde(default)]
    #[schemars(title = "S3 Bucket Region", extend("order" = 5), example = &"us-east-1")]
    pub s3_bucket_region: String,
    /// The format of the files.
    #[schemars(title = "Output Format", extend("order" = 6))]
    pub format: Format,
    /// Another server than Amazon's, such as MinIO. Buckets are named in the path of its URLs.
    #[schemars(title = "Endpoint", extend("order" = 7), example = &"http://localhost:9000")]
    pub s3_endpoint: Option<String>,
    /// Folders, and how the names of files begin. Variables: ${NAMESPACE}, ${STREAM_NAME}, ${SYNC_ID}, ${YEAR},
    /// ${MONTH}, ${DAY}, ${HOUR}, ${MINUTE}, ${SECOND}, ${MILLISECOND}, ${EPOCH}, ${UUID}.
    #[schemars(title = "S3 Path Format", extend("order" = 8), example = &"${NAMESPACE}/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_")]
    pub s3_path_format: Option<String>,
    /// How the names of files end. Variables: {part_number}, {format_extension}, {sync_id}, {date}, {date:yyyy_MM},
    /// {timestamp}, {timestamp:millis}, {timestamp:micros}.
    #[schemars(title = "File Name Pattern", extend("order" = 9), example = &"{part_number}{format_extension}")]
    pub file_name_pattern: Option<String>,
}

/// The format of the files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "format_type")]
pub enum Format {
    /// Avro object container files.
    #[schemars(title = "Avro: Apache Avro")]
    Avro(AvroConfig),
    /// Comma-separated values with a header line.
    #[serde(rename = "CSV")]
    #[schemars(title = "CSV: Comma-Separated Values")]
    Csv(TextConfig),
    /// One JSON object per line.
    #[serde(rename = "JSONL")]
    #[schemars(title = "JSON Lines: Newline-delimited JSON")]
    Jsonl(TextConfig),
    /// Columns, for queries.
    #[schemars(title = "Parquet: Columnar Storage")]
    Parquet(ParquetConfig),
}

/// How files of text are written.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TextConfig {
    /// Where the fields of a record go.
    #[schemars(title = "Flattening", extend("order" = 0))]
    pub flattening: FlatteningConfig,
    /// How files are compressed.
    #[schemars(title = "Compression", extend("order" = 1))]
    pub compression: TextCompression,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            // As Airbyte's destination does.
            flattening: FlatteningConfig::None,
            compression: TextCompression::default(),
        }
    }
}

/// How files of text are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "compression_type")]
pub enum TextCompression {
    /// Not at all.
    #[default]
    #[serde(rename = "No Compression")]
    #[schemars(title = "No Compression")]
    None,
    /// Gzip; the file's name ends in `.gz`.
    #[serde(rename = "GZIP")]
    #[schemars(title = "GZIP")]
    Gzip,
}

impl Format {
    fn options(&self) -> FileOptions {
        match self {
            Self::Avro(config) => (*config).into(),
            Self::Csv(config) => config.of(TextFormat::Csv),
            Self::Jsonl(config) => config.of(TextFormat::Jsonl),
            Self::Parquet(config) => (*config).into(),
        }
    }
}

impl TextConfig {
    fn of(self, format: TextFormat) -> FileOptions {
        FileOptions {
            format: FileFormat::Text {
                format,
                is_gzip: self.compression == TextCompression::Gzip,
            },
            flattening: self.flattening.into(),
            with_emitted_at: false,
        }
    }
}

impl Config {
    /// How a sync writes; `retry` is how long it waits for a store that does not answer.
    pub(crate) fn settings(&self, retry: Duration) -> Result<FileSettings> {
        let options = S3Options {
            bucket: self.s3_bucket_name.clone(),
            region: self.s3_bucket_region.clone(),
            endpoint: self
                .s3_endpoint
                .clone()
                .filter(|endpoint| !endpoint.trim().is_empty()),
            key: self.key()?,
            role_arn: self.role_arn.clone().filter(|role| !role.trim().is_empty()),
            retry,
        };
        let (format, name) = (
            self.s3_path_format.as_deref(),
            self.file_name_pattern.as_deref(),
        );
        Ok(FileSettings {
            location: Location::S3(Box::new(options)),
            layout: Layout::new(&self.s3_bucket_path, format, name),
            options: self.format.options(),
        })
    }

    fn key(&self) -> Result<Option<(SecretString, SecretString)>> {
        let given = |secret: &Option<SecretString>| {
            secret.clone().filter(|secret| !secret.expose().is_empty())
        };
        match (given(&self.access_key_id), given(&self.secret_access_key)) {
            (Some(id), Some(secret)) => Ok(Some((id, secret))),
            (None, None) => Ok(None),
            _ => Err(ConnectorError::config(
                "`access_key_id` and `secret_access_key` belong together: set both, or none of them to use the \
                 credentials of the environment.",
            )),
        }
    }
}
