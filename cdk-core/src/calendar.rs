//! Days and dates in the proleptic Gregorian calendar.
//!
//! Both ways count in eras of 400 years whose years begin in March, so that the leap day is the last of
//! its year.

const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Year, month and day of a day counted from 1970-01-01. The year before 1 is 0 (1 BC).
#[must_use]
pub fn civil(days: i64) -> (i64, i64, i64) {
    let since_march = days + EPOCH;
    let era = since_march.div_euclid(ERA_DAYS);
    let day_of_era = since_march.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (ERA_DAYS - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The day of a date, counted from 1970-01-01; `None` when there is no such date. `year` is small enough
/// not to overflow: up to 11 digits.
#[must_use]
pub fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let of_month = DAYS.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day < 1 || day > of_month + i64::from(month == 2 && is_leap) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * ERA_DAYS + day_of_era - EPOCH)
}

#[cfg(all(test, feature = "arrow"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_that_do_not_exist_have_no_number() {
        assert_eq!(day_of(1970, 1, 1), Some(0));
        assert_eq!(day_of(2000, 2, 29), Some(11_016));
        for (year, month, day) in [
            (1900, 2, 29),
            (2023, 0, 1),
            (2023, 13, 1),
            (2023, 4, 31),
            (2023, 1, 0),
        ] {
            assert_eq!(day_of(year, month, day), None);
        }
    }

    proptest! {
        #[test]
        fn a_day_is_its_date_and_back(days in -200_000_000_i64..200_000_000) {
            let (year, month, day) = civil(days);
            prop_assert_eq!(day_of(year, month, day), Some(days));
        }
    }
}
