use crate::{
    bounds::Rule,
    properties::{
        ACKNOWLEDGED, ANSWERED_STAYS, CHANGED, HEARD, HELD, IN_FORCE, ONE_PRIMARY, REMOVED, SETTLED_STAYS,
        SHOWN, SOUND, STRONG, SWITCHED,
    },
    runs::{ELECTIONS, FIVE_TERMS, FORGETFUL, LATE, ONE_OF_FOUR, OVERTAKEN, SWITCH, VOTERS, holds, missed},
};

#[test]
fn a_switch_loses_nothing() {
    holds(SWITCH, &[ACKNOWLEDGED, SWITCHED, SHOWN, REMOVED]);
}

#[test]
fn an_election_that_overtakes_another_loses_nothing() {
    holds(OVERTAKEN, &[ACKNOWLEDGED, SWITCHED]);
}

#[test]
fn a_candidate_that_forgets_loses_nothing() {
    holds(FORGETFUL, &[ACKNOWLEDGED, SWITCHED]);
}

#[test]
fn elections_in_a_row_lose_nothing() {
    holds(ELECTIONS, &[ACKNOWLEDGED, SWITCHED]);
}

#[test]
fn more_elections_in_a_row_lose_nothing() {
    holds(FIVE_TERMS, &[SHOWN]);
}

#[test]
fn late_requests_lose_nothing() {
    holds(LATE, &[ACKNOWLEDGED, SWITCHED, REMOVED]);
}

#[test]
fn voters_that_come_and_go_lose_nothing() {
    holds(VOTERS, &[SHOWN, CHANGED]);
}

#[test]
fn one_voter_of_four_loses_nothing() {
    holds(ONE_OF_FOUR, &[CHANGED]);
}

macro_rules! missed {
    ($($test:ident: $rule:ident, $run:ident, $property:ident;)+) => {
        $(#[test]
        fn $test() {
            missed(Rule::$rule, $run, $property);
        })+
    };
}

missed! {
    appends_only_where_a_source_was_opened: Opened, SWITCH, HELD;
    one_grant_per_term: OneGrant, SWITCH, ONE_PRIMARY;
    a_nonce_for_each_attempt: FreshNonce, FORGETFUL, ONE_PRIMARY;
    opened_at_the_best_tail: Levelled, SWITCH, ANSWERED_STAYS;
    the_tail_of_the_promise: TailOfGrant, SWITCH, ANSWERED_STAYS;
    the_latest_log_before_the_longest: BestByTerm, ELECTIONS, SETTLED_STAYS;
    a_majority_of_promises: MajorityPromises, SWITCH, ANSWERED_STAYS;
    counted_with_an_entry_of_the_own_term: CommitOwnTerm, FIVE_TERMS, SETTLED_STAYS;
    counted_under_the_own_term: CountUnderTerm, ELECTIONS, SETTLED_STAYS;
    copied_from_the_primary: CopiedFromPrimary, SWITCH, HEARD;
    apply_raises_the_term: ApplyRaisesTerm, OVERTAKEN, SOUND;
    removed_only_what_was_seen: TruncateGuarded, LATE, HELD;
    duplicates_wait: DuplicatesWait, SWITCH, ANSWERED_STAYS;
    strong_reads_are_proven: FreshProof, SWITCH, STRONG;
    counted_by_the_voters_of_the_best_log: ConfigOfBest, VOTERS, SETTLED_STAYS;
    one_voter_at_a_time: OneVoter, VOTERS, SETTLED_STAYS;
    voters_change_under_a_settled_term: ConfigUnderTerm, ONE_OF_FOUR, SETTLED_STAYS;
    the_configuration_goes_with_what_is_removed: ConfigOfLog, VOTERS, IN_FORCE;
}
