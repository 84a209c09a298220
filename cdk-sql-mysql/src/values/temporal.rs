//! Dates and times of the binary log as text.

use super::Loss;

/// Appends `2024-01-31`. Month or day 0 is MySQL's own and no date.
pub(crate) fn push_day(year: u32, month: u32, day: u32, out: &mut Vec<u8>) -> Result<(), Loss> {
    if month == 0 || day == 0 {
        return Err(Loss::Nulled);
    }
    push_padded(year, 4, out);
    out.push(b'-');
    push_padded(month, 2, out);
    out.push(b'-');
    push_padded(day, 2, out);
    Ok(())
}

/// Appends `10:20:30` with as many digits of a second as the column has, as the server writes it.
pub(crate) fn push_clock(
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
    digits: u8,
    out: &mut Vec<u8>,
) {
    push_padded(hour, 2, out);
    out.push(b':');
    push_padded(minute, 2, out);
    out.push(b':');
    push_padded(second, 2, out);
    let digits = usize::from(digits.min(6));
    if digits > 0 {
        out.push(b'.');
        let start = out.len();
        push_padded(micros, 6, out);
        out.truncate(start + digits);
    }
}

fn push_padded(number: u32, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

/// Appends `2024-01-31T10:20:30.5Z` for seconds since the Unix epoch. 0 is MySQL's "zero date".
pub(crate) fn push_instant(
    seconds: u64,
    micros: u32,
    digits: u8,
    out: &mut Vec<u8>,
) -> Result<(), Loss> {
    if seconds == 0 {
        return Err(Loss::Nulled);
    }
    let (year, month, day) = civil(seconds / 86_400);
    push_day(year, month, day, out)?;
    out.push(b'T');
    let second = (seconds % 86_400) as u32;
    push_clock(
        second / 3600,
        second / 60 % 60,
        second % 60,
        micros,
        digits,
        out,
    );
    out.push(b'Z');
    Ok(())
}

/// Year, month and day of a number of days since 1970-01-01: years begin in March, so that the leap day is the last.
fn civil(days: u64) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(seconds: u64, micros: u32, digits: u8) -> String {
        let mut out = Vec::new();
        push_instant(seconds, micros, digits, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn instants_around_leap_days_and_the_ends_of_the_range() {
        let cases = [
            (1, "1970-01-01T00:00:01Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (2_147_483_647, "2038-01-19T03:14:07Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(instant(seconds, 0, 0), expected);
        }
        assert_eq!(instant(1, 120_000, 3), "1970-01-01T00:00:01.120Z");
    }
}
