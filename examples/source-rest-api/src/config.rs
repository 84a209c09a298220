//! The connector's config.

use cdk_core::SecretString;
use schemars::JsonSchema;
use serde::Deserialize;

/// Any JSON API: where it is, how it knows who asks, and its endpoints. Further keys can be used in parameters, as in
/// `{{ config['start_date'] }}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "REST API Source Spec")]
#[non_exhaustive]
pub struct RestApiConfig {
    /// What the API is called. It is not sent anywhere.
    #[serde(default)]
    #[schemars(title = "Name", extend("order" = 0))]
    pub name: Option<String>,

    /// The URL that all paths are below.
    #[schemars(
        title = "URL Base",
        length(min = 1),
        example = "https://api.example.com/v1",
        extend("order" = 1)
    )]
    pub url_base: String,

    /// How the API knows who asks.
    #[serde(default)]
    #[schemars(title = "Authentication", extend("order" = 2))]
    pub authentication: Authentication,

    /// What to read, each as a stream of its own.
    #[schemars(title = "Endpoints", length(min = 1), extend("order" = 3))]
    pub endpoints: Vec<Endpoint>,

    /// Requests sent at the same time.
    #[serde(default = "concurrency")]
    #[schemars(title = "Concurrency", range(min = 1, max = 50), extend("order" = 4))]
    pub concurrency: usize,

    /// The most requests in any minute, over all streams. Without it, the API's own limits are met as they come.
    #[serde(default)]
    #[schemars(title = "Requests per Minute", range(min = 1), extend("order" = 5))]
    pub requests_per_minute: Option<u32>,
}

fn concurrency() -> usize {
    4
}

/// How the API knows who asks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum Authentication {
    /// It doesn't.
    #[default]
    #[schemars(title = "No Authentication")]
    None,
    /// By a token in the `Authorization` header.
    #[schemars(title = "Bearer Token")]
    Bearer {
        /// The token.
        #[schemars(title = "Token")]
        token: SecretString,
    },
    /// By a key in a header or a query parameter.
    #[schemars(title = "API Key")]
    ApiKey {
        /// The name of the header or parameter.
        #[schemars(title = "Key Name", example = "X-API-Key")]
        key_name: String,
        /// The key.
        #[schemars(title = "API Key")]
        api_key: SecretString,
        /// Where the key is sent.
        #[serde(default)]
        #[schemars(title = "Inject Into")]
        inject_into: KeyPlace,
    },
    /// By user and password.
    #[schemars(title = "Basic")]
    Basic {
        /// The user.
        #[schemars(title = "Username")]
        username: String,
        /// The password.
        #[serde(default = "no_password")]
        #[schemars(title = "Password")]
        password: SecretString,
    },
    /// By OAuth 2.0 client credentials.
    #[schemars(title = "OAuth 2.0 Client Credentials")]
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens are given out.
        #[schemars(title = "Token URL", example = "https://auth.example.com/token")]
        token_url: String,
        /// The client's id.
        #[schemars(title = "Client ID")]
        client_id: String,
        /// The client's secret.
        #[schemars(title = "Client Secret")]
        client_secret: SecretString,
        /// The scopes to ask for.
        #[serde(default)]
        #[schemars(title = "Scopes")]
        scopes: Vec<String>,
    },
}

fn no_password() -> SecretString {
    SecretString::new("")
}

/// Where a key is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum KeyPlace {
    /// In a header.
    #[default]
    Header,
    /// In a query parameter.
    Query,
}

/// One endpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct Endpoint {
    /// Name of the stream.
    #[schemars(title = "Name", length(min = 1), extend("order" = 0))]
    pub name: String,

    /// Path below the URL base.
    #[schemars(title = "Path", example = "/customers", extend("order" = 1))]
    pub path: String,

    /// The method.
    #[serde(default)]
    #[schemars(title = "HTTP Method", extend("order" = 2))]
    pub http_method: HttpMethod,

    /// Query parameters; one may come several times.
    #[serde(default)]
    #[schemars(title = "Parameters", extend("order" = 3))]
    pub params: Vec<NamedValue>,

    /// Headers.
    #[serde(default)]
    #[schemars(title = "Headers", extend("order" = 4))]
    pub headers: Vec<NamedValue>,

    /// A JSON body, for POST.
    #[serde(default)]
    #[schemars(title = "Body", extend("order" = 5))]
    pub body: Option<String>,

    /// Where the records are in an answer; dots separate the steps. Without it, the one list that the answer holds at
    /// its top is taken, else the whole answer is one record.
    #[serde(default)]
    #[schemars(title = "Records Path", example = "data.items", extend("order" = 6))]
    pub records_path: Option<String>,

    /// Fields that identify a record.
    #[serde(default)]
    #[schemars(title = "Primary Key", example = ["id"], extend("order" = 7))]
    pub primary_key: Vec<String>,

    /// How to get from page to page. By default, links to the next page are followed where an answer has them.
    #[serde(default)]
    #[schemars(title = "Pagination", extend("order" = 8))]
    pub pagination: Pagination,

    /// Reads only what has changed since the last sync.
    #[serde(default)]
    #[schemars(title = "Incremental", extend("order" = 9))]
    pub incremental: Option<Incremental>,

    /// JSON schema of the records. Without it, it is inferred from the first page.
    #[serde(default)]
    #[schemars(title = "JSON Schema", extend("order" = 10))]
    pub json_schema: Option<String>,
}

/// A parameter or header. In a file, an object of names and values says the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct NamedValue {
    /// Its name.
    #[schemars(title = "Name", length(min = 1), extend("order" = 0))]
    pub name: String,

    /// Its value; `{{ config['key'] }}` stands for a value of this config, of which a list is sent one by one.
    #[schemars(title = "Value", extend("order" = 1))]
    pub value: String,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[non_exhaustive]
pub enum HttpMethod {
    /// GET.
    #[default]
    Get,
    /// POST.
    Post,
}

/// How to get from page to page.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum Pagination {
    /// Follows links to the next page: a `Link` header, or a URL at one of the usual places of an answer.
    #[default]
    #[schemars(title = "Automatic")]
    Auto,
    /// There is one page.
    #[schemars(title = "None")]
    None,
    /// Pages are numbered.
    #[schemars(title = "Page Number")]
    PageNumber {
        /// The parameter of the number.
        #[schemars(title = "Page Parameter", example = &"page")]
        page_param: String,
        /// The number of the first page.
        #[serde(default = "one")]
        #[schemars(title = "First Page")]
        first_page: u64,
        /// The parameter of the page size.
        #[serde(default)]
        #[schemars(title = "Size Parameter", example = &"per_page")]
        size_param: Option<String>,
        /// Records on a page; the read ends at a shorter one. Without it, at an empty one.
        #[serde(default)]
        #[schemars(title = "Page Size", range(min = 1))]
        page_size: Option<u64>,
    },
    /// Pages begin at an offset.
    #[schemars(title = "Offset")]
    Offset {
        /// The parameter of the offset.
        #[schemars(title = "Offset Parameter", example = &"offset")]
        offset_param: String,
        /// The parameter of the page size.
        #[schemars(title = "Limit Parameter", example = &"limit")]
        limit_param: String,
        /// Records on a page.
        #[schemars(title = "Page Size", range(min = 1))]
        page_size: u64,
    },
    /// Each answer holds a token for the next page.
    #[schemars(title = "Cursor")]
    Cursor {
        /// Where the token is in an answer; dots separate the steps.
        #[schemars(title = "Cursor Path", example = "meta.next_cursor")]
        cursor_path: String,
        /// The parameter of the token.
        #[schemars(title = "Cursor Parameter", example = &"cursor")]
        cursor_param: String,
    },
}

fn one() -> u64 {
    1
}

/// What has changed since the last sync.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct Incremental {
    /// The field that says when a record was last changed.
    #[schemars(title = "Cursor Field", example = &"updated_at", extend("order" = 0))]
    pub cursor_field: String,

    /// From when on to read the first time, such as 2024-01-31T00:00:00Z.
    #[serde(default)]
    #[schemars(title = "Start Date", extend("order" = 1))]
    pub start_date: Option<String>,

    /// The parameter that asks for records changed since. Without it, all are read and the older ones dropped.
    #[serde(default)]
    #[schemars(title = "Start Parameter", example = &"updated_since", extend("order" = 2))]
    pub start_param: Option<String>,

    /// The parameter that asks for records changed until.
    #[serde(default)]
    #[schemars(title = "End Parameter", example = &"updated_until", extend("order" = 3))]
    pub end_param: Option<String>,

    /// Days to ask for at a time; it needs both parameters and a start date.
    #[serde(default)]
    #[schemars(title = "Step in Days", range(min = 1), extend("order" = 4))]
    pub step_days: Option<u32>,
}
