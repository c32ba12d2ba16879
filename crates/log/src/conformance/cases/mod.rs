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
    append: expected_versions_are_compared, versions_and_positions_are_dense,
        a_mistake_fails_no_other_commit, only_the_primary_of_the_term_appends,
        the_time_of_recording_never_falls;
    processes: killed_processes_lose_and_double_nothing;
}
