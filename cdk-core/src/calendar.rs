//! Days and dates in the proleptic Gregorian calendar.
//!
//! Counted in eras of 400 years whose years begin in March, so that the leap day is the last of its year.

const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Year, month and day of a day counted from 1970-01-01. The year before 1 is 0 (1 BC).
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
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
