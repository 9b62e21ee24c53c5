//! Times as lines have them: as [`Timestamp`] prints them, and read back.

use annals_core::time::Timestamp;

/// Reads a time that [`Timestamp`] printed: UTC, with milliseconds. `None` for any other text.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, ms) = time.split_once('.')?;
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    let days = days_from_civil(year, month, day)?;
    let hours = days.checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    let ms = seconds.checked_mul(1_000)?.checked_add(ms.parse().ok()?)?;
    let timestamp = Timestamp::from_ms(ms);
    // Leaves one spelling per time, and refuses what is no date, such as the 30th of February.
    (timestamp.to_string() == text).then_some(timestamp)
}

/// Days from 1970-01-01 to a later day, by the algorithm of Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms" (2013).
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(719_469)?;
    is_date.then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_read_as_it_was_printed() {
        // Guards the times of events: epoch, leap days, ends of years, the far future.
        let day = 86_400_000;
        let days = (0..200_000).step_by(97).map(|days| days * day + 12_345);
        let edges = [0, 1, 951_782_400_123, 1_767_225_599_999, 4_107_542_400_000, u64::MAX];
        for ms in days.chain(edges) {
            let time = Timestamp::from_ms(ms);
            assert_eq!(parse(&time.to_string()), Some(time));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        // Guards against a time that is taken for another one.
        for bad in [
            "",
            "now",
            "2026-11-20",
            "2026-11-20T09:30:00Z",
            "2026-11-20T09:30:00.000",
            "2026-11-20T09:30:00.000+01:00",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-11-20T24:00:00.000Z",
            "2026-11-20T09:60:00.000Z",
            "2026-11-20T09:30:00.0000Z",
            "1969-12-31T23:59:59.999Z",
            "99999999999999999999-01-01T00:00:00.000Z",
            "18446744073709551615-01-01T00:00:00.000Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
