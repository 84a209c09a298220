//! What the user sets. The comments are the user's documentation.

{% if auth != "none" %}use cdk_core::SecretString;
{% endif %}use schemars::JsonSchema;
use serde::Deserialize;

/// {{ crate_name | title_case }}
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Where the API is.
    #[serde(default = "api_url")]
    pub api_url: String,
{% if auth == "api-key" %}    /// The key to the API.
    pub api_key: SecretString,
{% endif %}{% if auth == "bearer" %}    /// The access token.
    pub access_token: SecretString,
{% endif %}{% if auth == "basic" %}    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
{% endif %}    /// Records that changed before this moment are not read.
    #[serde(default = "start_date")]
    #[schemars(
        extend("format" = "date-time"),
        regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
    )]
    pub start_date: String,
}

fn api_url() -> String {
    "{{ api_base }}".to_owned()
}

fn start_date() -> String {
    "2024-01-01T00:00:00Z".to_owned()
}
