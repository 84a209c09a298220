//! The lenient reading of times that the Python CDK uses for state and token expiry.

use chrono::NaiveDate;

use super::{Format, Moment, parse_iso};

/// Reads Unix seconds, an ISO date or time, or a few common spellings; microseconds since the Unix epoch.
///
/// Without an offset UTC is meant. `None` when the text is nothing of that.
pub fn parse_airbyte(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: i64 = text.parse().ok()?;
        return (seconds >= 0 && text.len() <= 10).then(|| seconds * 1_000_000);
    }
    if !text.contains(':') && text.matches('-').count() == 2 && !text.contains('/') {
        let mut parts = text.split('-').map(|part| part.trim().parse::<u32>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    let is_time_only =
        text.contains(':') && text.matches('-').count() < 2 && text.matches('/').count() < 2;
    if is_time_only {
        return None;
    }
    lenient(text.trim()).map(|moment| moment.us())
}

/// The spellings of dateutil's `parse` that APIs and configs use.
fn lenient(text: &str) -> Option<Moment> {
    if let Some(moment) = parse_iso(text) {
        return Some(moment);
    }
    let zone = |name| text.strip_suffix(name);
    let text = zone(" UTC").or_else(|| zone(" GMT")).unwrap_or(text);
    const FORMATS: [&str; 13] = [
        "%Y-%m-%dT%H:%M:%S.%f%z",
        "%Y-%m-%dT%H:%M:%S%z",
        "%Y-%m-%dT%H:%M:%S.%f %z",
        "%Y-%m-%dT%H:%M:%S %z",
        "%Y-%m-%d %H:%M:%S.%f%z",
        "%Y-%m-%d %H:%M:%S%z",
        "%Y-%m-%d %H:%M:%S %z",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d",
        "%m/%d/%Y %H:%M:%S",
        "%m/%d/%Y",
    ];
    FORMATS
        .iter()
        .find_map(|format| Format::new(format).parse(text).ok())
}

/// Writes microseconds since the Unix epoch in UTC, e.g. `2024-06-15T12:00:00.123456Z`; a zero fraction is left out.
pub fn format_airbyte(us: i64) -> String {
    let format = match us.rem_euclid(1_000_000) {
        0 => "%Y-%m-%dT%H:%M:%SZ",
        _ => "%Y-%m-%dT%H:%M:%S.%fZ",
    };
    Moment::from_us(us).map_or_else(String::new, |moment| Format::new(format).format(&moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_instant_are_equal() {
        for text in [
            "1718452800",
            "2024-06-15T12:00:00Z",
            "2024-06-15T12:00:00",
            "2024-06-15 12:00:00",
            "2024-06-15T14:00:00+02:00",
            "2024-06-15 12:00:00 +0000",
        ] {
            assert_eq!(parse_airbyte(text), Some(1_718_452_800_000_000), "{text}");
        }
        for text in [
            "",
            "-5",
            "12345678901",
            "12:00:00",
            "2024-13-01",
            "soon",
            "Sat, 15 Jun 2024 12:00:00 GMT",
        ] {
            assert_eq!(parse_airbyte(text), None, "{text}");
        }
    }

    #[test]
    fn written_times_read_back() {
        for us in [0, 1_718_452_800_123_456, 1_718_452_800_000_000] {
            assert_eq!(parse_airbyte(&format_airbyte(us)), Some(us));
        }
        assert_eq!(
            format_airbyte(1_718_452_800_000_000),
            "2024-06-15T12:00:00Z"
        );
    }
}
