//! What upcasters do wrong: the reader is told, nothing is recorded, others go on.

use std::num::NonZeroU32;

use annals_core::error::ErrorChain;
use annals_core::place::ActualRevision;
use annals_engine::state::StateError;

use super::{doubled, start_with, wrote};
use crate::support::guest::upcaster;
use crate::support::upcaster::{Act, Rule, rule};
use crate::support::{World, add, name, run, state};

fn misdeed(act: Act) -> Rule {
    rule(("added", 1), &[("added", 2)], act)
}

/// Checks what a command is told when the stream has version 1 at revision 1, and `rules` are there
/// for it.
async fn refused(world: World, rules: &[Rule], expected: &str) {
    let engine = start_with(&world, &[upcaster("old-sums", "1.0.0", rules)]).await;
    wrote(&engine, "a", &[("added", 2, 1), ("added", 1, -5)]).await;
    let error = add(&engine, "a", 1).await.unwrap_err();
    let where_it_is = "the stream cannot be read: upcaster `old-sums` makes nothing of `added` of \
                       schema version 1, from revision 1 of stream `tally/a`: ";
    assert_eq!(ErrorChain(&error).to_string(), format!("{where_it_is}{expected}"));
    // Nothing was recorded, and other streams go on.
    let info = engine.store().stream_info(&"tally/a".parse().unwrap()).await.unwrap();
    assert_eq!(info.revision.events_count(), 2);
    add(&engine, "b", 1).await.unwrap();
    // Another version of it makes the stream readable again.
    engine.install(None, doubled("1.0.1", 2), None).await.unwrap();
    assert_eq!(state(&engine, "a").await, (1, "-9".to_owned()));
}

#[test]
fn what_an_upcaster_does_wrong_is_told_with_its_name_and_the_event() {
    // Guards every check of what an upcaster says: texts, counts, names, JSON, sizes.
    run(async {
        let contract = "plugin `old-sums` broke the contract in `upcast`: ";
        let limit = "plugin `old-sums` reached a limit in `upcast`: ";
        let cases = [
            (Act::RefuseNegative, "it refuses the event: -5 is below 0".to_owned()),
            (Act::TrapOnNegative, "plugin `old-sums` trapped in `upcast`: told to".to_owned()),
            (Act::Nothing, format!("{contract}it makes no event of an event, which cannot vanish")),
            (Act::OneResultLess, format!("{contract}0 results for 1 events that were given")),
            (
                Act::Undeclared,
                format!(
                    "{contract}it makes `removed` of schema version 1, which its description does \
                     not produce"
                ),
            ),
            (
                Act::NoJson,
                format!(
                    "{contract}`added` is not JSON: EOF while parsing an object at line 1 column 1"
                ),
            ),
            (
                Act::Bytes((256 << 10) + 1),
                format!("{limit}`added` of 262145 bytes, at most 262144 are allowed"),
            ),
            (
                Act::Many(101),
                format!(
                    "{limit}101 events of one stored event, at most 100 are allowed \
                     (upcast_events_max)"
                ),
            ),
        ];
        for (act, expected) in cases {
            refused(World::new(), &[misdeed(act)], &expected).await;
        }
    });
}

#[test]
fn upcasters_that_go_in_a_circle_are_stopped() {
    // Guards `upcast_chain_max`: a circle of any length ends, after as many steps as are allowed.
    run(async {
        let mut world = World::new();
        world.options.upcast_chain_max = NonZeroU32::new(4).unwrap();
        let there = rule(("added", 1), &[("removed", 1)], Act::Times(1));
        let back = rule(("removed", 1), &[("added", 1)], Act::Times(1));
        let expected = "4 steps made nothing of it that is read (upcast_chain_max); upcasters that \
                        make each other's events go in a circle";
        refused(world, &[there, back], expected).await;
    });
}

#[test]
fn what_one_event_becomes_is_limited_over_all_steps() {
    // Guards memory: 20 events of each of 20 are 400, made by upcasters that are each within limits.
    run(async {
        let first = rule(("split", 1), &[("split", 2)], Act::Many(20));
        let second = rule(("split", 2), &[("added", 2)], Act::Many(20));
        let world = World::new();
        let engine = start_with(&world, &[upcaster("splits", "1.0.0", &[first, second])]).await;
        wrote(&engine, "a", &[("split", 1, 1)]).await;
        let error = engine.state(&name("tally"), "a").await.unwrap_err();
        let StateError::Command(error) = error else { panic!("{error:?}") };
        assert_eq!(
            ErrorChain(&error).to_string(),
            "the stream cannot be read: upcaster `splits` makes nothing of `split` of schema \
             version 1, from revision 0 of stream `tally/a`: plugin `splits` reached a limit in \
             `upcast`: 400 events of one stored event, at most 100 are allowed (upcast_events_max)"
        );
    });
}

#[test]
fn what_one_event_becomes_fits_one_call_of_its_reader() {
    // Guards memory: 17 events of 250 KiB, each within its limit, are more than 4 MiB.
    run(async {
        let large = rule(("added", 1), &[("added", 2); 17], Act::JsonBytes(250 << 10));
        let expected = "plugin `old-sums` reached a limit in `upcast`: 4352000 bytes of one stored \
                        event, at most 4194304 are allowed";
        refused(World::new(), &[large], expected).await;
    });
}

#[test]
fn what_is_made_and_not_read_is_told_as_what_it_is() {
    // Guards the text when an aggregate does not read the end of a chain.
    run(async {
        let world = World::new();
        let elsewhere = rule(("added", 1), &[("added", 3)], Act::Times(1));
        let engine = start_with(&world, &[upcaster("old-sums", "1.0.0", &[elsewhere])]).await;
        wrote(&engine, "a", &[("added", 1, 1)]).await;
        assert_eq!(
            add(&engine, "a", 1).await.unwrap_err().to_string(),
            "stream `tally/a` holds `added` of schema version 3 at revision 0, which plugin version \
             2.0.0 does not read"
        );
        assert_eq!(
            engine.store().stream_info(&"tally/a".parse().unwrap()).await.unwrap().revision,
            ActualRevision::from(annals_core::place::Revision::FIRST)
        );
    });
}
