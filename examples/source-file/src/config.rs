//! The connector's config, with the keys of Airbyte's source-file.

use schemars::JsonSchema;
use serde::Deserialize;

/// Source File: one CSV or JSONL file from a local path or a URL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "File Source Spec")]
#[non_exhaustive]
pub struct FileConfig {
    /// Name of the stream, and so of the table it is loaded into.
    #[schemars(title = "Dataset Name", length(min = 1), extend("order" = 0))]
    pub dataset_name: String,

    /// Format of the file. Gzip is recognised by itself.
    #[serde(default)]
    #[schemars(title = "File Format", extend("order" = 1))]
    pub format: FileFormat,

    /// Options of the reader as a JSON object in text form; see the documentation for the keys.
    #[serde(default)]
    #[schemars(
        title = "Reader Options",
        example = "{}",
        example = "{\"sep\": \";\", \"encoding\": \"latin1\"}",
        extend("order" = 2)
    )]
    pub reader_options: Option<String>,

    /// URL or path of the file. User name and password may stand in the URL.
    #[schemars(
        title = "URL",
        length(min = 1),
        example = "https://storage.example.com/sales.csv",
        example = "/data/sales.csv.gz",
        extend("order" = 3)
    )]
    pub url: String,

    /// Where the file is stored.
    #[schemars(title = "Storage Provider", extend("order" = 4))]
    pub provider: Provider,
}

/// Format of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[non_exhaustive]
pub enum FileFormat {
    /// Rows of cells with a separator between them.
    #[default]
    Csv,
    /// One JSON object per line.
    Jsonl,
}

/// Where the file is stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "storage")]
#[schemars(inline)]
#[non_exhaustive]
pub enum Provider {
    /// A public or password-protected URL.
    #[serde(rename = "HTTPS")]
    #[schemars(title = "HTTPS: Public Web")]
    Https {
        /// Whether to send a `User-Agent` header; some servers refuse requests without one.
        #[serde(default)]
        #[schemars(title = "User-Agent")]
        user_agent: bool,
    },
    /// A path on the machine that runs the connector.
    #[serde(rename = "local")]
    #[schemars(title = "Local Filesystem")]
    Local {},
}
