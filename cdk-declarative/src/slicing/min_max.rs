//! MinMaxDatetime: where the first window begins and the last one ends.

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use super::point::Point;
use crate::component::Component;
use crate::template::{Scope, Template, python_text};
use crate::time::Format;

/// A moment that templates give, with bounds.
pub(super) struct MinMax {
    moment: Template,
    min: Option<Template>,
    max: Option<Template>,
    format: Format,
}

impl MinMax {
    pub(super) fn build(sync: &Component<'_>, key: &str, format: &str) -> Result<Option<Self>> {
        let template = |text: &str, at: &Component<'_>| Template::new(text, at);
        match sync.get(key) {
            None => Ok(None),
            Some(Value::Object(_)) => {
                let at = sync.need_child(key)?;
                let own = at.text("datetime_format")?.filter(|text| !text.is_empty());
                let bound = |key: &str| -> Result<Option<Template>> {
                    let text = at.text(key)?.filter(|text| !text.is_empty());
                    text.map(|text| Template::with_default(text, "", &at))
                        .transpose()
                };
                let moment = at.text_like("datetime");
                let moment = moment.ok_or_else(|| at.error("the field `datetime` is missing."))?;
                Ok(Some(Self {
                    moment: template(&moment, &at)?,
                    min: bound("min_datetime")?,
                    max: bound("max_datetime")?,
                    format: Format::new(own.unwrap_or(format)),
                }))
            }
            Some(other) => Ok(Some(Self {
                moment: template(&python_text(other), sync)?,
                min: None,
                max: None,
                format: Format::new(format),
            })),
        }
    }

    pub(super) fn at(&self, scope: &Scope<'_>, sync: &Component<'_>) -> Result<Point> {
        self.parsed(scope).map_err(|error| {
            let named = sync.error(error.message());
            ConnectorError::new(error.failure_type(), named.message())
        })
    }

    pub(super) fn parsed(&self, scope: &Scope<'_>) -> Result<Point> {
        let parse = |text: &str| {
            self.format.parse(text).map(|moment| Point::new(moment.or_utc())).map_err(|_| {
                ConnectorError::system(format!(
                    "`{text}` is no time of the format {}. Check the dates in the config, or `datetime_format`.",
                    self.format.text()
                ))
            })
        };
        let mut point = parse(&self.moment.text(scope)?)?;
        if let Some(min) = &self.min {
            let min = min.text(scope)?;
            if !min.is_empty() {
                point = point.max(parse(&min)?);
            }
        }
        if let Some(max) = &self.max {
            let max = max.text(scope)?;
            if !max.is_empty() {
                point = point.min(parse(&max)?);
            }
        }
        Ok(point)
    }
}
