//! Schedules in the tables of DynamoDB: its limits, and empty values.

use std::time::Duration;

use annals_engine::schedule::{ScheduleCounts, ScheduleStatus, Timing};
use tokio::time::sleep;

use super::bench::{add, after, schedule_id};
use crate::support::dynamodb::run_on_dynamodb;
use crate::support::state;

#[test]
fn schedules_work_in_the_tables() {
    // Guards the rows of schedules against the limits of the narrowest driver: made, fired by one of
    // two hosts, listed, cancelled and removed, many in one commit.
    run_on_dynamodb(async |mut world| {
        world.options.schedules.ended_kept_for = Duration::ZERO;
        let engine = world.start_with_tally().await;
        let other = world.start().await;
        let schedules = engine.schedules();
        for number in 0..25 {
            let request =
                add(&format!("s{number}"), Timing::At(annals_core::time::Timestamp::from_ms(1)));
            schedules.create(request).await.unwrap();
        }
        schedules.create(add("later", after("1h"))).await.unwrap();
        schedules.cancel(&schedule_id("later")).await.unwrap();
        // Awaited by the deadline of the test.
        loop {
            let counts = other.schedules().figures().await.counts.unwrap();
            if counts.waiting == 0 {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(state(&engine, "a").await, (24, "25".to_owned()));
        let done = Some(ScheduleStatus::Done);
        let page = other.schedules().list(done, None, 100).await.unwrap();
        assert!(page.schedules.len() <= 25);
        engine.stop().await;
        other.stop().await;
        // Everything that has ended is removed at the next start.
        let again = world.start().await;
        while again.schedules().figures().await.counts != Some(ScheduleCounts::default()) {
            sleep(Duration::from_millis(50)).await;
        }
        let left = again.schedules().list(None, None, 100).await.unwrap();
        assert_eq!(left.schedules, []);
        again.stop().await;
    });
}
