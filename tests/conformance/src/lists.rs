//! The lists: which checks belong to which port, in the order of their files, and how they become
//! tests.

/// Makes a test of every check of the event store.
///
/// `open` is the path of an `async fn() -> (Arc<dyn EventStore>, G)` that opens an empty store; `G`
/// is dropped after it.
#[macro_export]
macro_rules! event_store_conformance {
    (open: $open:path) => {
        $crate::event_store_checks! { checks_as_tests $open }
    };
}

/// Makes a test of every check of the state stores.
///
/// `open` is the path of an `async fn() -> (Arc<dyn StateStores>, G)` that opens them without any
/// space; `G` is dropped after them.
#[macro_export]
macro_rules! state_stores_conformance {
    (open: $open:path) => {
        $crate::state_stores_checks! { checks_as_tests $open }
    };
}

/// Makes a test of every check of the blob store.
///
/// `open` is the path of an `async fn() -> (Arc<dyn BlobStore>, G)` that opens an empty store; `G`
/// is dropped after it.
#[macro_export]
macro_rules! blob_store_conformance {
    (open: $open:path) => {
        $crate::blob_store_checks! { checks_as_tests $open }
    };
}

/// Makes a test of every check of the bus.
///
/// `open` is the path of an `async fn() -> (Arc<dyn Bus>, G)` that opens a bus without listeners;
/// `G` is dropped after it.
#[macro_export]
macro_rules! bus_conformance {
    (open: $open:path) => {
        $crate::bus_checks! { checks_as_tests $open }
    };
}

/// The checks of the event store.
#[doc(hidden)]
#[macro_export]
macro_rules! event_store_checks {
    ($then:ident $($open:path)?) => {
        $crate::$then! { $($open)? =>
            append {
                has_one_id_and_at_least_one_partition
                creates_a_stream_at_revision_zero
                appends_at_the_next_revision
                keeps_every_field_byte_for_byte
                gives_each_event_without_an_id_one_of_its_own
                refuses_a_commit_without_event_and_command
                refuses_a_stream_named_twice
                meets_or_refuses_each_expectation
                rejects_wrong_expected_revision_and_reports_actual
                refuses_an_unknown_stream_expected_at_a_revision
                a_second_create_does_not_overwrite
                reports_the_first_expectation_that_is_not_met
                writes_all_streams_or_none
                records_events_in_the_order_of_the_commits_streams
                expects_something_of_streams_it_does_not_write
                moves_time_forward_to_its_latest
                a_refused_commit_does_not_move_time
                appends_to_streams_of_the_host
                checks_limits_then_ids_then_expectations_then_claims
            }
            append_limits {
                limits_the_data_of_an_event
                limits_the_data_of_a_command
                limits_the_metadata_of_an_event
                limits_the_bytes_of_a_commit
                limits_the_events_of_a_commit
                limits_the_streams_claims_and_releases_of_a_commit
                limits_the_scope_and_the_key_of_claims_and_releases
                limits_the_bytes_of_a_rejection
            }
            event_ids {
                the_same_ids_again_succeed_with_the_first_receipt
                the_same_ids_again_succeed_for_several_streams
                the_same_ids_again_take_no_claim
                refuses_ids_that_are_recorded_otherwise
                refuses_ids_that_are_recorded_in_other_streams
                refuses_the_same_ids_with_other_events
                refuses_the_same_events_with_other_streams
                a_repeat_may_come_later_and_from_elsewhere
                refuses_reused_ids_before_expectations_and_claims
                refuses_ids_that_contradict_themselves
                remembers_event_ids_as_its_capabilities_say
            }
            commands {
                finds_an_accepted_command_with_its_events
                finds_an_accepted_command_without_events
                finds_a_rejected_command_with_its_rejection
                keeps_every_field_of_a_command
                finds_nothing_that_its_stream_has_not_decided
                refuses_a_command_decided_before
                remembers_command_ids_per_stream
                records_a_command_that_writes_other_streams
                refuses_a_rejected_command_that_records_something
                refuses_a_rejected_command_whose_expectation_is_not_met
                reads_commands_oldest_first_in_pages
                limits_the_commands_of_a_read
                remembers_command_ids_as_its_capabilities_say
            }
            commits {
                a_partition_without_commits_has_none
                commits_are_numbered_from_zero_without_a_hole
                a_rejected_command_is_a_commit
                refused_and_repeated_commits_are_not_recorded
                commits_are_in_the_order_of_their_acceptance
                each_stream_is_recorded_as_expected_exactly_where_it_was
                a_commit_is_recorded_at_the_time_of_its_receipt
                events_of_a_plain_append_are_recorded_with_their_ids
                a_commit_is_recorded_with_every_field
                tells_the_position_of_the_first_event_or_what_it_would_be
                commits_hold_the_events_of_the_feed
                reads_commits_from_a_number_inclusive
                limits_the_commits_of_a_page
                limits_the_bytes_of_a_page_of_commits
                commits_read_while_writers_run_have_no_hole
            }
            correlated {
                an_empty_store_has_nothing_of_a_correlation_id
                every_commit_of_a_correlation_id_is_found_and_no_other
                a_correlation_id_is_found_beside_cause_and_principal
                looks_for_a_correlation_id_from_a_number_inclusive
                limits_a_page_of_a_correlation_id
                a_commit_of_many_partitions_is_found_once
                what_is_durable_is_found_while_writers_run
                refuses_to_look_into_a_partition_that_is_not_there
                every_commit_before_the_first_since_a_time_is_earlier
            }
            claims {
                a_claim_is_held_by_its_stream
                refuses_a_claim_that_another_stream_holds
                its_own_stream_takes_a_claim_again_with_the_new_expiry
                an_expired_claim_is_free
                a_claim_that_has_expired_when_it_is_taken_holds_nothing
                expiry_is_judged_by_the_time_of_the_receipt
                a_released_claim_is_free
                passes_over_a_release_of_what_the_stream_does_not_hold
                releases_come_before_claims
                a_refused_commit_neither_claims_nor_releases
                reports_the_first_claim_that_is_held
                keeps_scopes_and_keys_apart
                a_command_claims_for_any_stream
                refuses_claims_that_contradict_themselves
                refuses_claims_without_event_and_command
            }
            concurrency {
                of_writers_at_one_revision_exactly_one_wins
                writers_of_different_streams_all_win
                writers_that_expect_nothing_all_win
                of_one_command_many_times_exactly_one_wins
                of_one_append_many_times_all_get_one_receipt
                of_claims_of_one_name_exactly_one_wins
                of_commits_that_refute_each_other_exactly_one_wins
                commits_at_once_count_one_after_the_other
                a_reader_at_the_head_misses_nothing_while_writers_run
                every_look_at_the_feed_is_the_beginning_of_the_final_one
                a_reader_that_stops_goes_on_from_its_position
                many_idle_subscribers_hold_up_nobody
                a_stream_read_while_it_grows_has_no_hole
            }
            durability {
                later_commits_are_checked_against_accepted_ones
                reads_show_what_was_accepted_before
                no_read_shows_an_event_before_it_is_durable
                no_commit_is_shown_before_it_is_durable
                the_feed_shows_what_is_durable
                flush_waits_for_everything_accepted_before
                a_repeated_append_is_durable_when_the_first_is
                a_callback_is_told_when_a_commit_is_durable
            }
            read_stream {
                a_stream_without_events_is_empty
                reads_forwards_from_a_revision_inclusive
                reads_backwards_from_a_revision_inclusive
                a_limit_of_zero_gives_no_events
                pages_neither_repeat_nor_skip
                reads_a_long_stream_whole_in_both_directions
                reads_a_stream_of_large_events_whole_in_both_directions
                limits_the_events_of_a_read
                limits_the_bytes_of_a_read
                reads_its_own_writes
                keeps_streams_of_similar_ids_apart
                tells_where_a_stream_ends
            }
            feed {
                a_partition_without_events_has_no_head
                the_feed_is_ordered_and_agrees_with_the_streams
                reads_after_a_position_exclusive
                reads_nothing_after_a_position_past_the_head
                feed_pages_neither_repeat_nor_skip
                a_limit_of_zero_reads_no_feed
                a_filter_lets_through_what_it_says
                reads_up_to_the_head_when_nothing_is_let_through
                reads_a_long_feed_whole
                reads_a_feed_of_large_events_whole
                limits_the_events_of_a_feed_page
                limits_the_bytes_of_a_feed_page
                refuses_partitions_it_does_not_have
                waits_for_news
                counts_events_by_category_type_and_schema_version
            }
            partitions {
                a_stream_is_in_the_partition_that_its_id_says
                positions_of_a_partition_have_no_hole
                a_commit_of_many_partitions_is_in_the_feed_of_each
                commits_of_many_partitions_at_once_are_all_whole
                a_commit_of_many_partitions_is_recorded_after_all_of_them
                a_commit_is_in_the_partition_of_its_command_or_first_stream
                the_position_of_a_commit_counts_events_of_other_commits
            }
            model {
                random_histories_equal_the_reference_model
            }
        }
    };
}

/// The checks of the state stores.
#[doc(hidden)]
#[macro_export]
macro_rules! state_stores_checks {
    ($then:ident $($open:path)?) => {
        $crate::$then! { $($open)? =>
            state {
                a_row_that_nobody_wrote_is_not_there
                keeps_keys_and_values_byte_for_byte
                puts_replace_and_deletes_remove
                keeps_tables_apart
                gets_many_rows_in_the_order_asked_for
                gets_thousands_of_rows_at_once
                scans_many_megabytes
                scans_a_range_in_key_order
                scan_pages_neither_repeat_nor_skip
                limits_the_rows_of_a_scan
                clears_one_table
            }
            state_commit {
                writes_happen_in_their_order
                commits_only_if_all_conditions_hold
                conditions_are_checked_before_the_writes
                checks_limits_then_conditions_then_writes
                a_checkpoint_never_goes_back
                counters_are_decimal_text
                refuses_to_add_to_what_is_not_a_counter
                refuses_to_leave_the_range_of_a_counter
                limits_keys_values_and_commits
                allows_at_least_what_every_driver_does
                limits_the_rows_of_a_commit
                limits_the_bytes_of_a_commit
                of_writers_with_one_condition_exactly_one_wins
                additions_at_once_all_count
                reads_see_commits_whole
            }
            state_stores {
                lists_no_space_before_one_was_opened
                lists_spaces_in_order
                keeps_spaces_apart
                opening_again_gives_the_same_store
                opening_at_once_gives_one_store
                removes_a_space_with_all_it_holds
                removing_what_is_not_there_is_passed_over
                a_removed_space_answers_unavailable
            }
        }
    };
}

/// The checks of the blob store.
#[doc(hidden)]
#[macro_export]
macro_rules! blob_store_checks {
    ($then:ident $($open:path)?) => {
        $crate::$then! { $($open)? =>
            blob {
                bytes_that_were_never_put_are_not_there
                gives_back_what_was_put
                putting_again_is_harmless
                keeps_blobs_apart
                what_was_removed_is_not_there
                bytes_put_and_removed_at_once_can_be_put_again
            }
        }
    };
}

/// The checks of the bus.
#[doc(hidden)]
#[macro_export]
macro_rules! bus_checks {
    ($then:ident $($open:path)?) => {
        $crate::$then! { $($open)? =>
            bus {
                telling_nobody_succeeds
                publishing_again_is_harmless
                before_the_first_event_nothing_is_published
                the_last_published_is_the_last_of_its_partition
                publishing_again_does_not_move_the_last_published_back
                publishes_many_events_at_once
                every_listener_hears_of_news
                a_late_listener_hears_of_later_news
                a_slow_listener_holds_up_nobody_and_hears_of_the_newest
                a_listener_that_went_away_is_forgotten
            }
        }
    };
}

/// Makes a module of each file of checks and a test of each check.
#[doc(hidden)]
#[macro_export]
macro_rules! checks_as_tests {
    ($open:path => $($file:ident { $($check:ident)+ })*) => { $(
        mod $file {
            use super::*;

            $(
                #[test]
                fn $check() {
                    $crate::run($open, $crate::$file::$check);
                }
            )+
        }
    )* };
}

/// Makes pairs of a file's name and its checks' names.
#[doc(hidden)]
#[macro_export]
macro_rules! checks_as_names {
    (=> $($file:ident { $($check:ident)+ })*) => {
        vec![$((stringify!($file), vec![$(stringify!($check)),+])),*]
    };
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The name of a file and those of its checks.
    type Checks<'a> = (&'a str, Vec<&'a str>);

    #[test]
    fn the_lists_name_every_check_in_the_order_of_its_file() {
        // Guards against a check that nobody runs: each `pub async fn` of this crate is in a list.
        let lists: [Vec<Checks<'_>>; 4] = [
            crate::event_store_checks! { checks_as_names },
            crate::state_stores_checks! { checks_as_names },
            crate::blob_store_checks! { checks_as_names },
            crate::bus_checks! { checks_as_names },
        ];
        let mut listed: Vec<Checks<'_>> = lists.into_iter().flatten().collect();
        listed.sort();

        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sources = Vec::new();
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                sources.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
        sources.sort();
        let written = sources.iter().map(|(name, source)| (name.as_str(), checks_of(source)));
        let written: Vec<Checks<'_>> = written.filter(|(_, checks)| !checks.is_empty()).collect();
        assert_eq!(listed, written);
    }

    /// The names of the checks that a source file defines.
    fn checks_of(source: &str) -> Vec<&str> {
        let names = source.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        names.filter_map(|rest| rest.split('(').next()).collect()
    }
}
