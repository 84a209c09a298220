//! Paginators: whether there is a next page, and how the request asks for it.

use std::sync::Arc;

use cdk_core::Result;
use serde_json::{Map, Value, json};

use crate::component::Component;
use crate::custom::{CustomPagination, Registry};
use crate::decoder::Decoder;
use crate::extract::is_true;
use crate::requester::inputs::RequestOption;
use crate::requester::response::PageResponse;
use crate::slice::Additions;
use crate::template::{Condition, Scope, Template, python_text};

/// How pages follow each other.
#[derive(Debug, Clone, Default)]
pub(crate) enum Paginator {
    /// One page.
    #[default]
    None,
    /// By a strategy.
    Default(Box<DefaultPaginator>),
}

/// A strategy, and where its values go.
#[derive(Debug, Clone)]
pub(crate) struct DefaultPaginator {
    strategy: Strategy,
    page_size_option: Option<RequestOption>,
    token_option: Option<TokenOption>,
    decoder: Decoder,
}

#[derive(Debug, Clone)]
enum TokenOption {
    /// The token is the path or URL of the next page.
    Path,
    Inject(RequestOption),
}

#[derive(Clone)]
enum Strategy {
    Page(PageIncrement),
    Offset(OffsetIncrement),
    Cursor(Box<CursorPagination>),
    Custom(Arc<dyn CustomPagination>),
}

impl std::fmt::Debug for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Page(_) => "PageIncrement",
            Self::Offset(_) => "OffsetIncrement",
            Self::Cursor(_) => "CursorPagination",
            Self::Custom(_) => "CustomPaginationStrategy",
        })
    }
}

#[derive(Debug, Clone)]
struct PageIncrement {
    page_size: Option<i64>,
    start: i64,
    on_first_request: bool,
}

#[derive(Debug, Clone)]
struct OffsetIncrement {
    page_size: Option<PageSize>,
    on_first_request: bool,
}

#[derive(Debug, Clone)]
enum PageSize {
    Fixed(i64),
    Template(Template),
}

#[derive(Debug, Clone)]
struct CursorPagination {
    page_size: Option<i64>,
    cursor: Template,
    stop: Option<Condition>,
}

/// What a page was, for the strategy.
pub(crate) struct LastPage<'a> {
    pub(crate) response: &'a PageResponse,
    /// Records the extractor found, before filters.
    pub(crate) extracted: usize,
    /// Records that came through.
    pub(crate) emitted: usize,
    /// The last of them; only kept when [`Paginator::wants_last_record`].
    pub(crate) record: Option<&'a Value>,
    /// The token this page was asked for with.
    pub(crate) token: Option<&'a Value>,
}

impl Paginator {
    pub(crate) fn build(
        component: Option<&Component<'_>>,
        decoder: &Decoder,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        let Some(component) = component else {
            return Ok(Self::None);
        };
        match component.kind() {
            "NoPagination" => Ok(Self::None),
            "DefaultPaginator" => {
                let built = DefaultPaginator::build(component, decoder, scope, registry)?;
                Ok(Self::Default(Box::new(built)))
            }
            other => Err(component.error(format!(
                "`{other}` is no paginator. Use DefaultPaginator or NoPagination."
            ))),
        }
    }

    /// The token of the first request.
    pub(crate) fn initial_token(&self) -> Option<Value> {
        let Self::Default(paginator) = self else {
            return None;
        };
        match &paginator.strategy {
            Strategy::Page(page) => page.on_first_request.then(|| json!(page.start)),
            Strategy::Offset(offset) => offset.on_first_request.then(|| json!(0)),
            Strategy::Cursor(_) => None,
            Strategy::Custom(custom) => custom.initial_token(),
        }
    }

    /// True when the number of records is the place of the next page.
    pub(crate) fn counts_records(&self) -> bool {
        matches!(self, Self::Default(paginator) if matches!(paginator.strategy, Strategy::Offset(_)))
    }

    /// True when a template looks at the last record of a page.
    pub(crate) fn wants_last_record(&self) -> bool {
        let Self::Default(paginator) = self else {
            return false;
        };
        match &paginator.strategy {
            Strategy::Cursor(cursor) => {
                let stop = cursor.stop.as_ref();
                cursor.cursor.mentions("last_record")
                    || stop.is_some_and(|stop| stop.mentions("last_record"))
            }
            Strategy::Custom(_) => true,
            _ => false,
        }
    }

    /// The token of the next page, when there is one.
    pub(crate) fn next(&self, last: &LastPage<'_>, scope: &Scope<'_>) -> Result<Option<Value>> {
        let Self::Default(paginator) = self else {
            return Ok(None);
        };
        let token = paginator.next(last, scope)?;
        Ok(token.filter(is_true))
    }

    /// The path or URL that replaces the requester's.
    pub(crate) fn path(&self, token: Option<&Value>) -> Option<String> {
        match self {
            Self::Default(paginator)
                if matches!(paginator.token_option, Some(TokenOption::Path)) =>
            {
                token.filter(|token| is_true(token)).map(python_text)
            }
            _ => None,
        }
    }

    /// What it adds to the request.
    pub(crate) fn additions(&self, token: Option<&Value>, scope: &Scope<'_>) -> Result<Additions> {
        let mut additions = Additions::default();
        let Self::Default(paginator) = self else {
            return Ok(additions);
        };
        if let (Some(TokenOption::Inject(option)), Some(token)) = (&paginator.token_option, token) {
            additions.inject(option, token.clone(), scope)?;
        }
        if let Some(option) = &paginator.page_size_option
            && let Some(size) = paginator
                .strategy
                .page_size(scope)?
                .filter(|size| *size != 0)
        {
            additions.inject(option, size.into(), scope)?;
        }
        Ok(additions)
    }
}

impl DefaultPaginator {
    fn build(
        component: &Component<'_>,
        decoder: &Decoder,
        scope: &Scope<'_>,
        registry: &Registry,
    ) -> Result<Self> {
        let strategy = component.need_child("pagination_strategy")?;
        let strategy = Strategy::build(&strategy, scope, registry)?;
        let page_size_option = component.child("page_size_option")?;
        let page_size_option = page_size_option
            .map(|at| RequestOption::build(&at))
            .transpose()?;
        if page_size_option.is_some() && strategy.page_size(scope)?.unwrap_or(0) == 0 {
            return Err(component.error(
                "`page_size_option` is set, but the strategy has no `page_size` to put there.",
            ));
        }
        let token_option = match component.child("page_token_option")? {
            None => None,
            Some(at) if at.kind() == "RequestPath" => Some(TokenOption::Path),
            Some(at) => Some(TokenOption::Inject(RequestOption::build(&at)?)),
        };
        if let (Some(size), Some(TokenOption::Inject(token))) = (&page_size_option, &token_option)
            && size.target() == token.target()
        {
            // Merging what each would add finds out whether they collide.
            let of = |option: &RequestOption, value: &str| {
                let mut one = Additions::default();
                one.inject(option, value.into(), scope).map(|()| one)
            };
            of(size, "size")?.merged(of(token, "token")?)?;
        }
        if !decoder.is_for_pagination() {
            return Err(component.error(format!(
                "a response read with {decoder:?} can't be paginated."
            )));
        }
        Ok(Self {
            strategy,
            page_size_option,
            token_option,
            decoder: decoder.clone(),
        })
    }

    fn next(&self, last: &LastPage<'_>, scope: &Scope<'_>) -> Result<Option<Value>> {
        let step = |size: Option<i64>, first: i64, step: i64| {
            let extracted = last.extracted as i64;
            if extracted == 0 || size.is_some_and(|size| size != 0 && extracted < size) {
                return None;
            }
            match last.token.and_then(Value::as_i64) {
                None => Some(json!(first)),
                Some(before) => Some(json!(before + step)),
            }
        };
        match &self.strategy {
            Strategy::Page(page) => Ok(step(page.page_size, page.start + 1, 1)),
            Strategy::Offset(offset) => {
                let size = match &offset.page_size {
                    None => None,
                    Some(PageSize::Fixed(size)) => Some(*size),
                    Some(PageSize::Template(template)) => {
                        let response = last.response.first_document(&self.decoder)?;
                        template.eval(&scope.with("response", &response))?.as_i64()
                    }
                };
                let count = last.extracted as i64;
                Ok(step(size, count, count))
            }
            Strategy::Cursor(cursor) => cursor.next(last, &self.decoder, scope),
            Strategy::Custom(custom) => {
                let response = last.response.first_document(&self.decoder)?;
                custom.next_token(&response, last.emitted, last.record, last.token)
            }
        }
    }
}

impl Strategy {
    fn build(component: &Component<'_>, scope: &Scope<'_>, registry: &Registry) -> Result<Self> {
        let fixed_size = || page_size(component, scope);
        Ok(match component.kind() {
            "PageIncrement" => Self::Page(PageIncrement {
                page_size: fixed_size()?,
                start: component
                    .get("start_from_page")
                    .and_then(Value::as_i64)
                    .unwrap_or(0),
                on_first_request: component.flag("inject_on_first_request", false)?,
            }),
            "OffsetIncrement" => Self::Offset(OffsetIncrement {
                page_size: match component.get("page_size") {
                    None => None,
                    Some(Value::String(text)) if text.is_empty() => None,
                    Some(Value::String(text)) => {
                        Some(PageSize::Template(Template::new(text, component)?))
                    }
                    Some(_) => fixed_size()?.map(PageSize::Fixed),
                },
                on_first_request: component.flag("inject_on_first_request", false)?,
            }),
            "CursorPagination" => Self::Cursor(Box::new(CursorPagination {
                page_size: fixed_size()?,
                cursor: Template::new(component.need_text("cursor_value")?, component)?,
                stop: Condition::optional(component, "stop_condition")?,
            })),
            "CustomPaginationStrategy" => Self::Custom(registry.pagination(component)?),
            other => {
                return Err(component.error(format!(
                    "`{other}` is no pagination strategy. Use PageIncrement, OffsetIncrement or CursorPagination."
                )));
            }
        })
    }

    fn page_size(&self, scope: &Scope<'_>) -> Result<Option<i64>> {
        Ok(match self {
            Self::Page(page) => page.page_size,
            Self::Cursor(cursor) => cursor.page_size,
            Self::Custom(custom) => custom.page_size(),
            Self::Offset(offset) => match &offset.page_size {
                None => None,
                Some(PageSize::Fixed(size)) => Some(*size),
                Some(PageSize::Template(template)) => {
                    let size = template.eval(&scope.only_config())?;
                    Some(whole(&size)?)
                }
            },
        })
    }
}

fn page_size(component: &Component<'_>, scope: &Scope<'_>) -> Result<Option<i64>> {
    match component.get("page_size") {
        None => Ok(None),
        Some(Value::String(text)) => {
            let size = Template::new(text, component)?.eval(scope)?;
            whole(&size)
                .map(Some)
                .map_err(|error| component.error(error.message()))
        }
        Some(size) => Ok(Some(whole(size)?)),
    }
}

fn whole(size: &Value) -> Result<i64> {
    size.as_i64().ok_or_else(|| {
        cdk_core::ConnectorError::config(format!("`page_size` is `{size}`, not a whole number."))
    })
}

impl CursorPagination {
    fn next(
        &self,
        last: &LastPage<'_>,
        decoder: &Decoder,
        scope: &Scope<'_>,
    ) -> Result<Option<Value>> {
        let response = last.response.first_document(decoder)?;
        let headers = last.response.headers_with_links();
        let size = Value::from(last.emitted);
        let page_size = self.page_size.map_or(Value::Null, Value::from);
        let none = Value::Null;
        let scope = scope.with("response", &response);
        let scope = scope.with("headers", &headers);
        let scope = scope.with("last_record", last.record.unwrap_or(&none));
        let scope = scope.with("last_page_size", &size);
        let scope = scope.with("page_size", &page_size);
        if let Some(stop) = &self.stop
            && stop.holds(&scope)?
        {
            return Ok(None);
        }
        self.cursor.eval(&scope).map(Some)
    }
}

/// The context of templates that see the token: `{"next_page_token": …}`, or null on the first page.
pub(crate) fn token_context(token: Option<&Value>) -> Value {
    match token {
        None => Value::Null,
        Some(token) => {
            let mut map = Map::new();
            map.insert("next_page_token".to_owned(), token.clone());
            Value::Object(map)
        }
    }
}
