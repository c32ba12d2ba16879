//! Tests of the tests: with any rule of the contract switched off, the named case of the kit fails.

mod support;

use polylog_log::{
    Rule, Rules,
    conformance::{Case, Outcome, cases, run},
};
use support::{Kind, Simulated};

/// Interleavings are random: a case may need more than one seed to meet a bad one.
const SEEDS: std::ops::Range<u64> = 1..12;

/// Which case catches which rule, on both sources.
const CAUGHT: &[(Rule, &str)] = &[
    (Rule::Identity, "identity::requests_for_another_store_are_refused"),
    (Rule::TermJump, "promise::a_term_jumps_by_a_limited_step"),
    (Rule::PromiseOnce, "promise::a_term_is_promised_once"),
    (Rule::OpenNeedsGrant, "open::opening_needs_the_grant"),
    (Rule::OpenNeedsTail, "open::opening_needs_the_exact_tail"),
    (Rule::OpenOnce, "open::a_term_is_opened_once"),
    (Rule::AppendNeedsLead, "open::a_promise_fences_the_primary"),
    (Rule::AppendNeedsConfig, "config::a_configuration_is_in_force_where_it_stands"),
    (Rule::ConfigEndsBatch, "config::a_configuration_ends_its_batch"),
    (Rule::BackPressure, "config::client_commits_wait_for_replicas"),
    (Rule::VersionCheck, "append::expected_versions_are_compared"),
    (Rule::StreamOnce, "commits::a_commit_names_each_stream_once"),
    (Rule::CommitLookup, "idempotency::a_retry_gets_the_first_answer"),
    (Rule::FingerprintCheck, "idempotency::an_id_with_other_content_conflicts"),
    (Rule::EventIdUnique, "idempotency::an_id_with_other_content_conflicts"),
    (Rule::StreamAttributes, "commits::a_stream_keeps_its_attributes"),
    (Rule::DensePositions, "append::versions_and_positions_are_dense"),
    (Rule::RecordedAtRises, "append::the_time_of_recording_never_falls"),
    (Rule::ConfigFollowsLog, "config::a_configuration_is_in_force_where_it_stands"),
    (Rule::ApplyFenced, "apply::an_apply_raises_the_term"),
    (Rule::ApplyNotPrimary, "apply::the_primary_of_a_term_follows_nobody_in_it"),
    (Rule::ApplyNeedsPrevious, "apply::a_forked_history_is_refused"),
    (Rule::ApplyChains, "apply::damaged_entries_are_refused"),
    (Rule::ApplyTermBound, "apply::terms_of_entries_rise_to_that_of_the_sender"),
    (Rule::ApplyRaisesTerm, "apply::an_apply_raises_the_term"),
    (Rule::WatermarkBounded, "config::watermarks_are_bounded_and_rise"),
    (Rule::TruncateFenced, "truncate::only_entries_of_old_terms_are_removed"),
    (Rule::TruncateNeedsTail, "truncate::truncation_needs_the_exact_tail"),
    (Rule::TruncateOldTermsOnly, "truncate::only_entries_of_old_terms_are_removed"),
    (Rule::TruncateKeepsEntry, "truncate::what_is_kept_ends_with_an_entry"),
    (Rule::TruncateAboveStable, "truncate::what_a_majority_holds_is_not_removed"),
    (Rule::TruncateRaisesTerm, "truncate::a_truncation_raises_the_term"),
    (Rule::TruncateRestoresConfig, "truncate::the_configuration_before_the_tail_is_back_in_force"),
    (Rule::TruncateQuarantines, "truncate::a_tail_that_lost_is_kept_in_quarantine"),
    (Rule::RepairProven, "repair::what_the_chain_does_not_prove_is_refused"),
    (Rule::RepairKeepsOthers, "repair::another_event_is_not_written_over"),
    (Rule::RepairKeepsData, "strip::an_event_without_data_is_copied_and_never_written_over_one_with_data"),
    (Rule::StripsThatEvent, "strip::only_the_very_event_is_stripped"),
    (Rule::OneSnapshot, "snapshots::a_page_belongs_to_its_head"),
    (Rule::WholePages, "tails::pages_hold_whole_commits"),
    (Rule::Durable, "durability::what_was_answered_survives_a_crash"),
    (Rule::VerbatimBytes, "payloads::data_is_kept_byte_for_byte"),
    (Rule::NamesAsBytes, "names::names_are_told_apart_by_their_bytes"),
    (Rule::LeaseCompares, "lease::a_lease_is_compared_before_it_is_swapped"),
];

/// Rules that another case catches there, or that only a transaction can break: in a document store one swap writes a
/// commit whole.
const TRANSACTIONAL: &[(Rule, &str)] = &[
    (Rule::OneStep, "writers::many_writers_lose_and_double_nothing"),
    (Rule::WholeCommits, "crash::every_operation_is_whole_or_absent"),
    (Rule::CommittedOnly, "writers::a_retry_waits_for_its_first_try"),
];

/// Rules of document stores; there, what is not committed are the documents above the base.
const DOCUMENT: &[(Rule, &str)] = &[
    (Rule::OneStep, "writers::one_of_many_wins_each_version"),
    (Rule::CommittedOnly, "truncate::what_was_removed_is_free_again"),
    (Rule::FenceByRevision, "snapshots::late_requests_change_nothing"),
    (Rule::SwapResolved, "crash::every_operation_is_whole_or_absent"),
    (Rule::WriteOutFirst, "crash::every_operation_is_whole_or_absent"),
    (Rule::ReadersRecheckCuts, "snapshots::a_page_belongs_to_its_head"),
];

fn named(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

async fn each_is_caught(kind: Kind, table: &[&[(Rule, &str)]]) {
    let mut missed = Vec::new();
    for (rule, name) in table.iter().copied().flatten() {
        let mut found = None;
        for seed in SEEDS {
            let harness = Simulated::new(kind, Rules::without(*rule));
            if let Outcome::Failed(violation) = run(named(name), harness, seed).await {
                found = Some((seed, violation.to_string()));
                break;
            }
        }
        match found {
            Some((seed, violation)) => {
                let words: String = violation.chars().take(100).collect();
                println!("{kind:?} without {rule:?}: {name}, seed {seed}: {words}");
            }
            None => missed.push((rule, name)),
        }
    }
    assert!(missed.is_empty(), "{kind:?}: switched off, and nobody noticed: {missed:?}");
}

#[tokio::test]
async fn the_transactional_source_fails_without_any_rule() {
    each_is_caught(Kind::Transactional, &[CAUGHT, TRANSACTIONAL]).await;
}

#[tokio::test]
async fn the_document_source_fails_without_any_rule() {
    each_is_caught(Kind::Document, &[CAUGHT, DOCUMENT]).await;
}

#[test]
fn every_rule_is_in_the_tables() {
    let tables = [CAUGHT, TRANSACTIONAL, DOCUMENT];
    let is_listed = |rule: &&Rule| tables.iter().any(|table| table.iter().any(|(listed, _)| listed == *rule));
    let unlisted: Vec<_> = Rule::ALL.iter().filter(|rule| !is_listed(rule)).collect();
    assert!(unlisted.is_empty(), "no case catches {unlisted:?}");
}
