//! The cases, by theme.

use super::Case;

macro_rules! cases {
    ($($theme:ident: $($name:ident),+;)+) => {
        $(mod $theme;)+

        /// Every case.
        pub(super) fn all() -> Vec<Case> {
            vec![$($(Case {
                name: concat!(stringify!($theme), "::", stringify!($name)),
                check: |kit| Box::pin($theme::$name(kit)),
            }),+),+]
        }
    };
}

cases! {
    head: a_fresh_source_is_empty;
    promise: a_term_is_promised_once, a_promise_survives_a_crash, a_term_jumps_by_a_limited_step;
    open: opening_is_recorded, opening_needs_the_grant, opening_needs_the_exact_tail, a_term_is_opened_once,
        a_promise_fences_the_primary;
    append: expected_versions_are_compared, versions_and_positions_are_dense, a_mistake_fails_no_other_commit,
        only_the_primary_of_the_term_appends, the_time_of_recording_never_falls;
    commits: a_commit_over_streams_is_all_or_nothing, a_commit_may_only_check, a_commit_names_each_stream_once,
        a_stream_keeps_its_attributes,
        a_large_commit_is_one_entry;
    idempotency: a_retry_gets_the_first_answer, a_retry_is_recognised_after_a_change_of_primary,
        an_id_with_other_content_conflicts, a_key_names_one_commit, a_batch_may_hold_a_commit_and_its_retry;
    config: a_configuration_is_in_force_where_it_stands, a_configuration_ends_its_batch,
        a_replica_takes_over_the_configuration,
        client_commits_wait_for_replicas, watermarks_are_bounded_and_rise;
    payloads: data_is_kept_byte_for_byte, large_data_is_kept, optional_fields_are_absent_or_kept,
        times_are_kept_to_the_microsecond;
    names: names_are_told_apart_by_their_bytes;
    search: what_is_selected_and_counted_is_what_the_log_says;
    indexes: an_index_finds_and_counts_what_the_log_says;
    identity: requests_for_another_store_are_refused;
    apply: a_copy_is_equal, entries_that_come_again_or_out_of_order_are_refused, a_forked_history_is_refused,
        damaged_entries_are_refused, terms_of_entries_rise_to_that_of_the_sender, an_apply_raises_the_term,
        the_primary_of_a_term_follows_nobody_in_it;
    truncate: the_prepared_request_works, a_tail_that_lost_is_kept_in_quarantine, what_was_removed_is_free_again,
        truncation_needs_the_exact_tail, only_entries_of_old_terms_are_removed, what_is_kept_ends_with_an_entry,
        a_truncation_raises_the_term, what_a_majority_holds_is_not_removed,
        the_configuration_before_the_tail_is_back_in_force, several_truncations_are_told_apart;
    repair: damaged_rows_are_written_back, missing_rows_are_written_back, another_event_is_not_written_over,
        what_the_chain_does_not_prove_is_refused;
    strip: dropped_data_leaves_the_log_as_it_is, only_the_very_event_is_stripped,
        an_event_without_data_is_copied_and_never_written_over_one_with_data;
    lease: a_lease_is_compared_before_it_is_swapped, one_of_many_swaps_at_a_time;
    tails: pages_hold_whole_commits, readers_see_each_position_once_and_in_order,
        readers_see_nothing_that_a_crash_removes, a_wait_ends_when_there_is_more;
    snapshots: a_page_belongs_to_its_head, late_requests_change_nothing;
    durability: what_was_answered_survives_a_crash;
    crash: every_operation_is_whole_or_absent;
    writers: many_writers_lose_and_double_nothing, one_of_many_wins_each_version, a_retry_waits_for_its_first_try,
        a_crash_under_load_loses_and_doubles_nothing;
    requests: lost_late_and_repeated_requests_are_harmless;
    processes: killed_processes_lose_and_double_nothing;
}
