//! The acceptance scenarios, each on every set of drivers and with the account in every language: one
//! text, one list.

mod bank;
mod projections;
mod snapshots;
mod transfers;

use crate::drivers::Place;
use crate::support::run;

/// Makes a test of each scenario on each place.
macro_rules! scenarios {
    ($($file:ident { $($scenario:ident)+ })+) => {
        scenarios! { @on local: Place::local => $($file { $($scenario)+ })+ }
        scenarios! { @on dynamodb_and_redis: Place::dynamodb_and_redis => $($file { $($scenario)+ })+ }
        scenarios! { @on local_javascript: Place::local_javascript => $($file { $($scenario)+ })+ }
        scenarios! { @on local_python: Place::local_python => $($file { $($scenario)+ })+ }
    };
    (@on $name:ident: $place:path => $($file:ident { $($scenario:ident)+ })+) => {
        mod $name {
            use super::*;

            $( mod $file {
                use super::*;

                $(
                    #[test]
                    fn $scenario() {
                        run(async {
                            let place = $place();
                            super::super::$file::$scenario(&place).await;
                        });
                    }
                )+
            } )+
        }
    };
}

scenarios! {
    bank {
        accounts_end_where_the_scenario_says
        unknown_and_malformed_are_told_apart
        a_repeat_gives_the_first_outcome_also_after_a_restart_and_fifty_at_once
        a_wrong_belief_is_answered_with_expected_and_actual
        a_decision_without_events_changes_nothing
        a_state_at_a_revision_is_the_fold_of_its_events
        many_commands_in_one_request_do_not_fail_one_another
    }
    projections {
        a_new_projection_catches_up_while_commands_run_and_then_follows
        a_read_waits_for_its_position_or_says_how_far_the_view_is
        a_view_survives_kill_9_and_equals_the_fold
        a_view_is_built_anew_beside_the_one_that_serves
    }
    transfers {
        money_moves_and_comes_back_as_the_scenario_says
        the_same_story_has_the_same_end_each_time
        what_cannot_arrive_comes_back
        transfers_that_cannot_be_are_refused_or_fail
        a_debit_that_is_delivered_twice_is_one_debit
        a_transfer_without_an_answer_times_out_and_gives_back
        many_transfers_at_once_conserve_money
    }
    snapshots {
        without_snapshots_views_and_caches_everything_is_as_before
    }
}
