//! Endpoints become streams.

use cdk_core::{Context, ErrorContext, Result};
use cdk_http::auth::{ApiKey, Basic, Bearer, OAuth, TokenAuth};
use cdk_http::budget::Budget;
use cdk_http::paginate::{CursorPages, NoPages, OffsetPages, PageNumbers};
use cdk_http::stream::{DatetimeCursor, Step};
use cdk_http::{HttpApi, HttpStream, Method, Placement, RequestBody};
use serde_json::Value;

use crate::config::{
    Authentication, Endpoint, HttpMethod, Incremental, KeyPlace, NamedValue, Pagination,
    RestApiConfig,
};
use crate::pages::AutoPages;
use crate::records::AutoJson;
use crate::template::render;

/// The streams of a config, each with its endpoint.
pub(crate) fn of<'a>(
    config: &'a RestApiConfig,
    context: &Context,
) -> Result<Vec<(HttpStream, &'a Endpoint)>> {
    let mut api = HttpApi::new(&config.url_base, context)?;
    if let Some(requests) = config.requests_per_minute {
        api = api.budget(Budget::per_minute(requests));
    }
    let api = with_auth(api, &config.authentication);
    let values = context.config();
    let streams = config.endpoints.iter().map(|endpoint| {
        let stream = stream(&api, endpoint, &values)?;
        Ok((stream, endpoint))
    });
    streams.collect()
}

fn with_auth(api: HttpApi, authentication: &Authentication) -> HttpApi {
    match authentication.clone() {
        Authentication::None => api,
        Authentication::Bearer { token } => api.auth(Bearer::new(token)),
        Authentication::Basic { username, password } => api.auth(Basic::new(username, password)),
        Authentication::ApiKey {
            key_name,
            api_key,
            inject_into,
        } => api.auth(match inject_into {
            KeyPlace::Header => ApiKey::header(key_name, api_key),
            KeyPlace::Query => ApiKey::query(key_name, api_key),
        }),
        Authentication::OAuth2 {
            token_url,
            client_id,
            client_secret,
            scopes,
        } => {
            let oauth = OAuth::client_credentials(token_url, client_id, client_secret);
            api.auth(TokenAuth::bearer(oauth.scopes(scopes)))
        }
    }
}

fn stream(api: &HttpApi, endpoint: &Endpoint, values: &Value) -> Result<HttpStream> {
    let place = |what: &str| format!("Stream {}, {what},", endpoint.name);
    let mut stream = api
        .stream(&endpoint.name, &endpoint.path)
        .primary_key(endpoint.primary_key.iter().cloned());
    for NamedValue { name, value } in &endpoint.params {
        let value = render(value, values, &place(&format!("parameter `{name}`")))?;
        for text in texts(&value) {
            stream = stream.query(name, text);
        }
    }
    for NamedValue { name, value } in &endpoint.headers {
        let value = render(value, values, &place(&format!("header `{name}`")))?;
        stream = stream.header(name, texts(&value).concat());
    }
    if let Some(body) = &endpoint.body {
        let body = parsed(body, &place("body"))?;
        stream = stream.body(RequestBody::Json(body));
    }
    if endpoint.http_method == HttpMethod::Post {
        stream = stream.method(Method::POST);
    }
    stream = match &endpoint.records_path {
        Some(path) => stream.records_at(path),
        None => stream.decode(AutoJson::new(&endpoint.name)),
    };
    if let Some(schema) = &endpoint.json_schema {
        stream = stream.schema_json(parsed(schema, &place("JSON schema"))?);
    }
    stream = with_pages(stream, &endpoint.pagination);
    Ok(match &endpoint.incremental {
        Some(incremental) => stream.cursor(cursor(incremental)),
        None => stream,
    })
}

fn parsed(text: &str, place: &str) -> Result<Value> {
    serde_json::from_str(text).config_error(format!("{place} is not valid JSON. Correct it."))
}

/// A value as the texts of a parameter, which is repeated for a list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn with_pages(stream: HttpStream, pagination: &Pagination) -> HttpStream {
    let query = |name: &String| Placement::query(name);
    match pagination {
        Pagination::Auto => stream.paginate(AutoPages),
        Pagination::None => stream.paginate(NoPages),
        Pagination::PageNumber {
            page_param,
            first_page,
            size_param,
            page_size,
        } => {
            let mut pages = PageNumbers::new(query(page_param)).start(*first_page);
            pages = match (size_param, page_size) {
                (Some(param), Some(size)) => pages.size(query(param), *size),
                (None, Some(size)) => pages.expect_size(*size),
                _ => pages,
            };
            stream.paginate(pages)
        }
        Pagination::Offset {
            offset_param,
            limit_param,
            page_size,
        } => stream.paginate(OffsetPages::new(
            query(offset_param),
            query(limit_param),
            *page_size,
        )),
        Pagination::Cursor {
            cursor_path,
            cursor_param,
        } => stream.paginate(CursorPages::in_body(cursor_path, query(cursor_param))),
    }
}

fn cursor(incremental: &Incremental) -> DatetimeCursor {
    let mut cursor = DatetimeCursor::new(&incremental.cursor_field);
    if let Some(start) = &incremental.start_date {
        cursor = cursor.start(start);
    }
    cursor = match (&incremental.start_param, &incremental.end_param) {
        (Some(start), Some(end)) => cursor.params(Placement::query(start), Placement::query(end)),
        (Some(start), None) => cursor.start_param(Placement::query(start)),
        (None, _) => cursor.filtering(),
    };
    match (incremental.step_days, &incremental.end_param) {
        (Some(days), Some(_)) => cursor.step(Step::days(days)),
        _ => cursor,
    }
}
