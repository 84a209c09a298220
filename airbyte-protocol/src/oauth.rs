//! The OAuth parts of a connector's specification.

use serde_json::Value;

use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;

wire_enum! {
    /// Which OAuth a connector uses.
    pub enum AuthFlowType {
        /// OAuth 2.0.
        OAuth2 = "oauth2.0",
        /// OAuth 1.0.
        OAuth1 = "oauth1.0",
    }
}

wire_struct! {
    /// How users log in instead of pasting credentials.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AdvancedAuth {
        /// Which OAuth.
        optional "auth_flow_type" auth_flow_type: AuthFlowType,
        /// Path of the configuration field that switches the login on.
        optional "predicate_key" predicate_key: Vec<String>,
        /// The value of that field which switches it on.
        optional "predicate_value" predicate_value: String,
        /// The login itself.
        optional "oauth_config_specification" oauth_config_specification: OAuthConfigSpecification,
    }
}

wire_struct! {
    /// What goes into an OAuth login and what comes out. The five blobs are JSON schemas whose
    /// leaves say in `path_in_connector_config` where a value lives in the configuration.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct OAuthConfigSpecification {
        /// What the user enters that the login needs too.
        optional "oauth_user_input_from_connector_config_specification" oauth_user_input_from_connector_config_specification: Value,
        /// The requests of the login, declared by the connector.
        optional "oauth_connector_input_specification" oauth_connector_input_specification: OAuthConnectorInputSpecification,
        /// What the login returns and where it goes (`path_in_oauth_response`).
        optional "complete_oauth_output_specification" complete_oauth_output_specification: Value,
        /// What the server's administrator configures for the login.
        optional "complete_oauth_server_input_specification" complete_oauth_server_input_specification: Value,
        /// Which of that the connector needs at run time.
        optional "complete_oauth_server_output_specification" complete_oauth_server_output_specification: Value,
    }
}

wire_struct! {
    /// The requests of an OAuth login. Texts are templates such as `{{ client_id_value }}`.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct OAuthConnectorInputSpecification {
        /// Where the user consents.
        required "consent_url" consent_url: String,
        /// The scopes to ask for.
        optional "scope" scope: String,
        /// Where the code becomes a token.
        required "access_token_url" access_token_url: String,
        /// Headers of the token request, by name.
        optional "access_token_headers" access_token_headers: Value,
        /// Parameters of the token request, by name.
        optional "access_token_params" access_token_params: Value,
        /// Which keys of the token response to keep.
        optional "extract_output" extract_output: Vec<String>,
        /// Shape of the `state` parameter.
        optional "state" state: OAuthState,
        /// The provider's name for `client_id`.
        optional "client_id_key" client_id_key: String,
        /// The provider's name for `client_secret`.
        optional "client_secret_key" client_secret_key: String,
        /// The provider's name for `scope`.
        optional "scope_key" scope_key: String,
        /// The provider's name for `state`.
        optional "state_key" state_key: String,
        /// The provider's name for `code`.
        optional "auth_code_key" auth_code_key: String,
        /// The provider's name for `redirect_uri`.
        optional "redirect_uri_key" redirect_uri_key: String,
        /// The provider's name for the token's time of expiry.
        optional "token_expiry_key" token_expiry_key: String,
    }
}

wire_struct! {
    /// Length of the `state` parameter of an OAuth login, in characters.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct OAuthState {
        /// At least.
        optional "min" min: i64,
        /// At most.
        optional "max" max: i64,
    }
}

wire_enum! {
    /// Which OAuth a connector uses, in the deprecated description.
    pub enum AuthType {
        /// OAuth 2.0.
        OAuth2 = "oauth2.0",
    }
}

wire_struct! {
    /// The deprecated description of a connector's OAuth.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AuthSpecification {
        /// Which OAuth.
        optional "auth_type" auth_type: AuthType,
        /// Where its parameters live.
        optional "oauth2Specification" oauth2_specification: OAuth2Specification,
    }
}

wire_struct! {
    /// Where the deprecated OAuth description finds its parameters in the configuration.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct OAuth2Specification {
        /// Path of the object that holds the parameters: names and list positions.
        optional "rootObject" root_object: Vec<Value>,
        /// Paths (below the root) of what the login needs.
        optional "oauthFlowInitParameters" oauth_flow_init_parameters: Vec<Vec<String>>,
        /// Paths (below the root) of what the login returns.
        optional "oauthFlowOutputParameters" oauth_flow_output_parameters: Vec<Vec<String>>,
    }
}
