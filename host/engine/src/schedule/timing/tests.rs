//! Times, delays and cron expressions, over the changes of clocks too.

use super::*;

fn ms(text: &str) -> Timestamp {
    match Timing::at(text).unwrap() {
        Timing::At(time) => time,
        other => panic!("{other:?}"),
    }
}

/// The next times of an expression, as RFC 3339 in UTC.
fn next(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let timing = Timing::cron(expression, zone).unwrap();
    let mut time = ms(from);
    let mut times = Vec::new();
    for _ in 0..count {
        time = timing.next(time).unwrap();
        times.push(time.to_string().replace(":00.000Z", "Z"));
    }
    times
}

#[test]
fn times_are_read_with_their_offset() {
    // Guards `at`: the same moment in any spelling, and nothing that leaves the zone open.
    for text in ["2026-11-20T09:30:00Z", "2026-11-20T10:30:00+01:00", "2026-11-20T09:30:00.000Z"] {
        assert_eq!(Timing::at(text).unwrap(), Timing::At(Timestamp::from_ms(1_795_167_000_000)));
    }
    for bad in ["", "now", "2026-11-20", "2026-11-20T09:30:00", "1969-12-31T23:59:59Z", "1795167"] {
        let refused = Timing::at(bad).unwrap_err().to_string();
        assert!(refused.starts_with("`at` is no time after 1970: give"), "{bad}: {refused}");
    }
}

#[test]
fn delays_are_written_as_people_write_them() {
    // Guards `after`: each unit, several of them, the longest, and what is no delay.
    for (text, ms) in [
        ("0s", 0),
        ("250ms", 250),
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("36500d", AFTER_MS_MAX),
    ] {
        assert_eq!(Timing::after(text).unwrap(), Timing::AfterMs(ms), "{text}");
        let written = Timing::delay_text(ms);
        assert_eq!(Timing::after(&written).unwrap(), Timing::AfterMs(ms), "{written}");
    }
    assert_eq!(Timing::delay_text(5_400_000), "1h30m");
    let bad = ["", "1", "h", "1x", "30m1h", "1h1h", "-1s", "1.5h", "1 h", "36500d1ms", "1h30"];
    let overflow = "99999999999999999999d";
    for bad in bad.into_iter().chain([overflow]) {
        let refused = Timing::after(bad).unwrap_err().to_string();
        assert!(refused.starts_with("`after` is no delay: give"), "{bad}: {refused}");
    }
}

#[test]
fn expressions_are_read_in_their_time_zone() {
    // Guards `cron`: five fields, six with seconds, names, and the zone; one spelling per zone.
    let from = "2026-11-20T12:00:00Z";
    assert_eq!(
        next("30 9 * * MON-FRI", "Europe/Berlin", from, 2),
        ["2026-11-23T08:30Z", "2026-11-24T08:30Z"]
    );
    assert_eq!(next("0 0 1 * *", "Asia/Tokyo", from, 1), ["2026-11-30T15:00Z"]);
    assert_eq!(next("0 0 29 2 *", "UTC", from, 1), ["2028-02-29T00:00Z"]);
    assert_eq!(next("15 * * * * *", "UTC", from, 1), ["2026-11-20T12:00:15.000Z"]);
    assert_eq!(
        Timing::cron("0 0 1 * *", "utc").unwrap(),
        Timing::cron("0 0 1 * *", "UTC").unwrap()
    );
}

#[test]
fn a_time_that_clocks_skip_is_due_when_they_are_put_forward() {
    // Guards the last Sunday of March in Berlin, where 02:00 is 03:00: a daily command is not left
    // out, and is as always from the next day on; an hourly one goes on.
    let from = "2027-03-27T12:00:00Z";
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", from, 3),
        ["2027-03-28T01:00Z", "2027-03-29T00:30Z", "2027-03-30T00:30Z"]
    );
    assert_eq!(
        next("0 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 3),
        ["2027-03-28T01:00Z", "2027-03-28T02:00Z", "2027-03-28T03:00Z"]
    );
}

#[test]
fn a_time_that_clocks_show_twice_is_due_once() {
    // Guards the last Sunday of October in Berlin, where 03:00 is 02:00 again: a daily command runs
    // once, the first time; an hourly one goes on.
    let from = "2027-10-30T12:00:00Z";
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", from, 2),
        ["2027-10-31T00:30Z", "2027-11-01T01:30Z"]
    );
    assert_eq!(
        next("0 * * * *", "Europe/Berlin", "2027-10-30T23:30:00Z", 3),
        ["2027-10-31T00:00Z", "2027-10-31T01:00Z", "2027-10-31T02:00Z"]
    );
}

#[test]
fn what_is_no_expression_is_refused() {
    // Guards `cron` and `time_zone`: too few fields, out of range, years, zones that are none.
    let long = format!("0 0 * * {}", "1,".repeat(200));
    for (expression, zone, text) in [
        ("", "UTC", "`cron` is no cron expression ("),
        ("* * * *", "UTC", "`cron` is no cron expression ("),
        ("60 * * * *", "UTC", "`cron` is no cron expression ("),
        ("0 0 1 1 * * 2030", "UTC", "`cron` is no cron expression ("),
        (&long, "UTC", "`cron` has 408 bytes: give at most 256"),
        ("* * * * *", "Berlin", "`time_zone` is not known: give its IANA name"),
        ("* * * * *", "+01:00", "`time_zone` is not known: give its IANA name"),
    ] {
        let refused = Timing::cron(expression, zone).unwrap_err().to_string();
        assert!(refused.starts_with(text), "{expression}: {refused}");
    }
    let never = Timing::cron("0 0 30 2 *", "UTC").unwrap();
    let refused = never.first(ms("2026-11-20T12:00:00Z")).unwrap_err();
    assert_eq!(refused.to_string(), "`cron` never comes: give a day that a month has");
}
