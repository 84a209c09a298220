//! Clamping: windows begin and end with whole days, weeks or months.

use cdk_core::Result;
use chrono::{Datelike, NaiveTime};

use super::point::Point;
use crate::component::Component;
use crate::template::{Scope, Template};
use crate::time::Span;

/// Bounds are moved to whole periods.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clamping {
    Day,
    /// Monday is 0.
    Week(u32),
    Month,
}

impl Clamping {
    pub(super) fn build(sync: &Component<'_>, scope: &Scope<'_>) -> Result<Option<Self>> {
        let Some(clamping) = sync.child("clamping")? else {
            return Ok(None);
        };
        let target = Template::new(clamping.need_text("target")?, &clamping)?.text(scope)?;
        Ok(Some(match target.as_str() {
            "DAY" => Self::Day,
            "MONTH" => Self::Month,
            "WEEK" => {
                let details = clamping.child("target_details")?;
                let day = details
                    .as_ref()
                    .and_then(|details| details.text_like("weekday"));
                let names = [
                    "MONDAY",
                    "TUESDAY",
                    "WEDNESDAY",
                    "THURSDAY",
                    "FRIDAY",
                    "SATURDAY",
                    "SUNDAY",
                ];
                let at = names.iter().position(|name| Some(*name) == day.as_deref());
                let at = at.ok_or_else(|| {
                    clamping
                        .error("a WEEK needs `target_details: {weekday: MONDAY}` or another day.")
                })?;
                Self::Week(u32::try_from(at).unwrap_or(0))
            }
            other => {
                return Err(clamping.error(format!(
                    "`target` must be DAY, WEEK or MONTH, not `{other}`."
                )));
            }
        }))
    }

    /// The start of the period.
    pub(super) fn floor(self, point: Point) -> Point {
        let local = point.moment.local();
        let midnight = local.date().and_time(NaiveTime::MIN);
        let back = match self {
            Self::Day => 0,
            Self::Month => local.day0(),
            Self::Week(day) => (local.weekday().num_days_from_monday() + 7 - day) % 7,
        };
        let day_us = 86_400_000_000;
        let floor = point
            .moment
            .with_local(midnight)
            .plus_us(-i64::from(back) * day_us);
        floor.map_or(point, Point::new)
    }

    /// The start of the next period, unless the point is the start of one. For weeks and months the day decides.
    pub(super) fn ceiling(self, point: Point) -> Point {
        let floor = self.floor(point);
        let is_start = match self {
            Self::Day => floor.us == point.us,
            Self::Week(_) | Self::Month => {
                floor.moment.local().date() == point.moment.local().date()
            }
        };
        if is_start {
            return floor;
        }
        let span = match self {
            Self::Day => Span::from_us(86_400_000_000),
            Self::Week(_) => Span::from_us(7 * 86_400_000_000),
            Self::Month => Span { months: 1, us: 0 },
        };
        floor.plus(span).unwrap_or(floor)
    }
}
