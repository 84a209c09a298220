//! HttpRequester: templates in, one answer out, after as many tries as it takes.

use std::sync::Arc;

use bytes::Bytes;
use cdk_core::{ConnectorError, Result};
use cdk_http::{Method, Request, RequestBody, Url};
use serde_json::{Map, Value};

use crate::auth::Authenticator;
use crate::component::Component;
use crate::errors::ErrorHandler;
use crate::host::Host;
use crate::paginator::token_context;
use crate::requester::cookies::Cookies;
use crate::requester::inputs::{Inputs, Nested, merge};
use crate::requester::{Sent, wire};
use crate::slice::{Additions, StreamSlice};
use crate::template::{Scope, Template, Types};

/// Sends the requests of a stream.
pub(crate) struct HttpRequester {
    pub(super) name: String,
    /// Its type and path in the manifest, for messages.
    place: String,
    pub(super) host: Arc<Host>,
    method: Method,
    url: Option<Template>,
    url_base: Option<Template>,
    path: Option<Template>,
    params: Inputs,
    headers: Inputs,
    body: Body,
    /// The parameter that takes the properties to ask for.
    properties_key: Option<String>,
    pub(super) auth: Authenticator,
    pub(super) errors: ErrorHandler,
    pub(super) is_cached: bool,
    pub(super) cookies: Cookies,
    /// Waits for rate limits are reported as the stream's status. Not for a stream that is only read as a parent.
    pub(super) reports_status: bool,
}

impl std::fmt::Debug for HttpRequester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpRequester({})", self.name)
    }
}

#[derive(Debug)]
enum Body {
    None,
    /// Text, or fields of a form.
    Data(Inputs),
    Json(Nested),
}

/// A request before credentials are put in.
pub(super) struct Draft {
    pub(super) url: Url,
    pub(super) params: Map<String, Value>,
    pub(super) headers: Map<String, Value>,
    pub(super) data: Value,
    pub(super) json: Value,
}

impl HttpRequester {
    /// `name` is what rate limits are reported under: the stream's.
    pub(super) fn build(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Self> {
        let template = |key: &str| {
            let text = component.text_like(key).filter(|text| !text.is_empty());
            text.map(|text| Template::new(&text, component)).transpose()
        };
        let config = host.config();
        let scope = host.scope(&config);
        let method = component.text("http_method")?.unwrap_or("GET");
        let handler = component.child("error_handler")?;
        Ok(Self {
            name: name.to_owned(),
            place: format!("{} at `{}`", component.kind(), component.path()),
            host: Arc::clone(host),
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| component.error(format!("`{method}` is no HTTP method.")))?,
            url: template("url")?,
            url_base: template("url_base")?,
            path: template("path")?,
            params: params(component)?,
            headers: Inputs::build(component, "request_headers")?,
            body: Body::build(component)?,
            properties_key: properties_key(component),
            auth: authenticator(component, name, host)?,
            errors: ErrorHandler::build(handler.as_ref(), &scope, host.registry())?,
            is_cached: component.flag("use_cache", false)? && host.limits.is_none(),
            cookies: Cookies::default(),
            reports_status: true,
        })
    }

    /// Sends one request of a slice.
    ///
    /// `path` replaces the requester's own; `more` is what paginator and partition router add.
    pub(super) async fn send(
        &self,
        slice: &StreamSlice,
        token: Option<&Value>,
        more: Additions,
        path: Option<&str>,
    ) -> Result<Sent> {
        let config = self.host.config();
        let draft = {
            let token = token_context(token);
            let scope = self.host.scope(&config);
            let scope = scope.of_slice(slice);
            let scope = scope.with("next_page_token", &token);
            let extra: Vec<_> = slice.extra_fields().iter().collect();
            with_all(&scope, &extra, |scope| self.draft(scope, slice, more, path))?
        };
        self.send_draft(&draft).await
    }

    fn draft(
        &self,
        scope: &Scope<'_>,
        slice: &StreamSlice,
        more: Additions,
        path: Option<&str>,
    ) -> Result<Draft> {
        let url = self.url(scope, path)?;
        let mut params = self.params.eval(scope, Types::TextOrList)?;
        if let (Some(key), Value::Object(params)) = (&self.properties_key, &mut params) {
            let properties = slice.extra_fields().get("query_properties");
            let properties = properties.and_then(Value::as_array).ok_or_else(|| {
                ConnectorError::system("A request asks for query properties, but there are none.")
            })?;
            let names: Vec<&str> = properties.iter().filter_map(Value::as_str).collect();
            params.insert(key.clone(), names.join(",").into());
        }
        if !params.is_object() {
            params = Value::Object(Map::new());
        }
        let headers = self.headers.eval(scope, Types::Any)?;
        let (data, json) = match &self.body {
            Body::None => (Value::Null, Value::Null),
            Body::Data(inputs) => (inputs.eval(scope, Types::TextOrList)?, Value::Null),
            Body::Json(nested) => (Value::Null, nested.eval(scope)?),
        };
        let object = |merged: Value| match merged {
            Value::Object(map) => Ok(map),
            _ => Err(ConnectorError::system(
                "Headers and parameters must be given as an object.",
            )),
        };
        Ok(Draft {
            url,
            params: object(merge(vec![params, Value::Object(more.params)], false)?)?,
            headers: object(merge(vec![headers, Value::Object(more.headers)], false)?)?,
            data: merge(vec![data, Value::Object(more.body_data)], false)?,
            json: merge(vec![json, Value::Object(more.body_json)], true)?,
        })
    }

    fn url(&self, scope: &Scope<'_>, path: Option<&str>) -> Result<Url> {
        let text = |template: &Option<Template>| match template {
            Some(template) => template.text(scope),
            None => Ok(String::new()),
        };
        let path = match path.filter(|path| !path.is_empty()) {
            Some(path) => path.to_owned(),
            None => text(&self.path)?.trim_start_matches('/').to_owned(),
        };
        let base = text(&self.url_base)?;
        let base = match base.is_empty() {
            true => text(&self.url)?,
            false => base,
        };
        wire::join(&base, &path).map_err(|error| self.wrong_url(error))
    }

    /// Names the templates that a wrong URL is made of: the URL itself may hold secrets.
    fn wrong_url(&self, error: ConnectorError) -> ConnectorError {
        let parts = [
            ("url_base", &self.url_base),
            ("url", &self.url),
            ("path", &self.path),
        ];
        let parts = parts.into_iter().filter_map(|(field, template)| {
            let template = template.as_ref()?;
            Some(format!("`{field}: {}`", template.source()))
        });
        let message = format!(
            "{} It is made by {} of {}.",
            error.message(),
            parts.collect::<Vec<_>>().join(" and "),
            self.place
        );
        ConnectorError::new(error.failure_type(), message).caused_by(error)
    }

    /// The request with credentials in it.
    pub(super) fn request(&self, draft: &Draft, auth: &Additions) -> Result<Request> {
        let both = |own: &Map<String, Value>, auth: &Map<String, Value>| match merge(
            vec![Value::Object(own.clone()), Value::Object(auth.clone())],
            false,
        )? {
            Value::Object(map) => Ok::<_, ConnectorError>(map),
            _ => Ok(Map::new()),
        };
        let mut url = draft.url.clone();
        let params = both(&draft.params, &auth.params)?;
        if let Some(name) = params
            .iter()
            .find_map(|(name, value)| value.is_object().then_some(name))
        {
            return Err(ConnectorError::system(format!(
                "The value of the request parameter `{name}` is an object; it must be a text, a number or a list."
            )));
        }
        let params = wire::without_repeats(&url, params);
        wire::add_params(&mut url, &params);
        let mut request = Request::new(self.method.clone(), url);
        wire::set_headers(&mut request, &both(&draft.headers, &auth.headers)?)?;
        let data = merge(
            vec![draft.data.clone(), Value::Object(auth.body_data.clone())],
            false,
        )?;
        let json = merge(
            vec![draft.json.clone(), Value::Object(auth.body_json.clone())],
            true,
        )?;
        request.body = body(&self.method, data, json)?;
        Ok(request)
    }
}

/// The authenticator; the legacy one for session tokens logs in at the requester's own URL.
fn authenticator(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Authenticator> {
    let Some(own) = component.child("authenticator")? else {
        return Ok(Authenticator::None);
    };
    let url = component.get("url_base").or_else(|| component.get("url"));
    let mut definition = Value::Object(own.fields().clone());
    if let Some(url) = url {
        set_api_url(&mut definition, url);
    }
    let own = Component::new(&definition, own.path())?;
    Authenticator::build(Some(&own), name, host)
}

fn set_api_url(authenticator: &mut Value, url: &Value) {
    let Value::Object(fields) = authenticator else {
        return;
    };
    if fields.get("type").and_then(Value::as_str) == Some("LegacySessionTokenAuthenticator") {
        fields.insert("api_url".to_owned(), url.clone());
    }
    if let Some(Value::Object(choices)) = fields.get_mut("authenticators") {
        choices
            .values_mut()
            .for_each(|choice| set_api_url(choice, url));
    }
}

type Then<'a, T> = Box<dyn FnOnce(&Scope<'_>) -> Result<T> + 'a>;

/// Calls `then` with what rides along with a slice as variables.
fn with_all<T>(
    scope: &Scope<'_>,
    extra: &[(&String, &Value)],
    then: impl FnOnce(&Scope<'_>) -> Result<T>,
) -> Result<T> {
    with_each(scope, extra, Box::new(then))
}

fn with_each<T>(scope: &Scope<'_>, extra: &[(&String, &Value)], then: Then<'_, T>) -> Result<T> {
    match extra.split_first() {
        None => then(scope),
        Some(((name, value), rest)) => with_each(&scope.with(name, value), rest, then),
    }
}

/// Only these methods carry a body, and only one kind of it.
fn body(method: &Method, data: Value, json: Value) -> Result<RequestBody> {
    if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "PATCH") {
        return Ok(RequestBody::Empty);
    }
    let is_set = |value: &Value| crate::extract::is_true(value);
    Ok(match (is_set(&json), is_set(&data)) {
        (true, true) => {
            return Err(ConnectorError::system(
                "A request has both a JSON body and a form or text body. Keep one of them.",
            ));
        }
        (true, false) if json.is_string() => {
            return Err(ConnectorError::system(
                "The JSON body of a request must be an object.",
            ));
        }
        (true, false) => RequestBody::Json(json),
        (false, true) => match data {
            Value::Object(fields) => RequestBody::Form(wire::pairs(&fields)),
            other => RequestBody::Bytes(Bytes::from(crate::template::python_text(&other))),
        },
        (false, false) => RequestBody::Empty,
    })
}

impl Body {
    fn build(component: &Component<'_>) -> Result<Self> {
        if let Some(body) = component.child("request_body")? {
            let value = body.get("value");
            let Some(value) = value else {
                return Ok(Self::None);
            };
            return Ok(match body.kind() {
                "RequestBodyUrlEncodedForm" | "RequestBodyPlainText" => {
                    Self::Data(Inputs::of(value, component)?)
                }
                "RequestBodyJsonObject" => Self::Json(Nested::body(value, component)?),
                "RequestBodyGraphQL" => Self::Json(Nested::body(&graphql(value), component)?),
                other => {
                    return Err(body.error(format!("`{other}` is no request body.")));
                }
            });
        }
        let is_empty = |value: &&Value| match value {
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        let data = component
            .get("request_body_data")
            .filter(|value| !is_empty(value));
        let json = component
            .get("request_body_json")
            .filter(|value| !is_empty(value));
        match (data, json) {
            (None, None) => Ok(Self::None),
            (Some(data), None) => Ok(Self::Data(Inputs::of(data, component)?)),
            (None, Some(json)) => Ok(Self::Json(Nested::body(json, component)?)),
            (Some(_), Some(_)) => {
                Err(component.error("give one of `request_body_data` and `request_body_json`."))
            }
        }
    }
}

/// The members of a GraphQL body; its `type` is the manifest's, not the API's.
fn graphql(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        map.retain(|key, value| key != "$parameters" && key != "type" && !value.is_null());
    }
    value
}

/// Parameters without the one that stands for query properties.
fn params(component: &Component<'_>) -> Result<Inputs> {
    let Some(Value::Object(map)) = component.get("request_parameters") else {
        return Inputs::build(component, "request_parameters");
    };
    let is_properties =
        |value: &Value| value.get("type").and_then(Value::as_str) == Some("QueryProperties");
    let mut map = map.clone();
    map.retain(|_, value| !is_properties(value));
    Inputs::of(&Value::Object(map), component)
}

fn properties_key(component: &Component<'_>) -> Option<String> {
    let params = component.get("request_parameters")?.as_object()?;
    params.iter().find_map(|(key, value)| {
        let kind = value.get("type").and_then(Value::as_str);
        (kind == Some("QueryProperties")).then(|| key.clone())
    })
}
