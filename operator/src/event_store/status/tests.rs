mod connections;

use std::collections::BTreeMap;

use polylog_crds::{Condition, ConditionStatus};
use polylog_log::{DatabaseId, Failure, Identity, Incarnation, LogId, Plan, Step};
use polylog_sidecar::sources::ConnectionLimit;
use uuid::Uuid;

use super::*;
use crate::event_store::{
    budget::Pools,
    provision::{SourcePlan, SourceProgress, StorePlan},
    refusal::Reason,
    testing,
    validate::validated,
};

fn known(spec: &str) -> Known {
    let (key, found) = testing::dereferenced(spec);
    let validated = validated(&key, &found).expect("right");
    Known {
        store: validated.store,
        warnings: validated.warnings,
        strategy_generation: None,
        authorities: None,
        pools: Pools::default(),
        members: Vec::new(),
    }
}

fn there(source: &str) -> SourceProgress {
    let identity = Identity {
        log: LogId::new(Uuid::from_u128(1)),
        database: DatabaseId::new(Uuid::from_u128(2)),
        incarnation: Incarnation::new(Uuid::from_u128(3)),
    };
    let limit = Some(ConnectionLimit { name: "max_connections", most: 97 });
    SourceProgress {
        source: source.into(),
        identity: Some(identity),
        format: Some(7),
        failure: None,
        shut: None,
        limit,
    }
}

fn progress(statements: &[&str]) -> Progress {
    let step = |statement: &&str| Step {
        class: LogStepClass::Destructive,
        summary: (*statement).into(),
        statement: (*statement).into(),
    };
    let plan = Plan { steps: statements.iter().map(step).collect() };
    Progress {
        log: Some(LogId::new(Uuid::from_u128(1))),
        sources: vec![there("ledger")],
        waiting: StorePlan {
            sources: vec![SourcePlan { source: "ledger".into(), place: "somewhere".into(), plan }],
        },
        done: 0,
        approved: None,
    }
}

fn serving() -> Seen {
    let ledger = SeenSource { is_up: true, ..SeenSource::default() };
    let sources = BTreeMap::from([("ledger".to_owned(), ledger)]);
    Seen::Answered { is_open: true, position: Some(7), sources, primary: None, term: None }
}

fn told(
    judged: &Judged,
    gateway: &Seen,
    previous: Option<&EventStoreStatus>,
    second: i64,
) -> EventStoreStatus {
    status(&Facts {
        name: "payments",
        namespace: "shop",
        generation: Some(4),
        judged,
        gateway,
        pods: &PodCounts::default(),
        previous,
        now: Timestamp::from_second(second).expect("a time"),
    })
}

fn condition(status: &EventStoreStatus, type_: &str) -> (ConditionStatus, String) {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == type_);
    let found: &Condition = found.expect("a condition");
    (found.status, found.reason.clone())
}

const TRUE: ConditionStatus = ConditionStatus::True;
const FALSE: ConditionStatus = ConditionStatus::False;
const UNKNOWN: ConditionStatus = ConditionStatus::Unknown;

fn refused(reason: Reason) -> Judged {
    Judged::Refused(Refusal::new(reason, "words"))
}

#[test]
fn a_store_that_serves_is_ready_and_what_nobody_measured_is_not_told() {
    let status = told(&Judged::Looked(known(testing::PAYMENTS), progress(&[])), &serving(), None, 1);
    assert_eq!(condition(&status, "Ready"), (TRUE, "InSync".into()));
    assert_eq!(condition(&status, "Available"), (TRUE, "Serving".into()));
    assert_eq!(condition(&status, "Consistent").0, UNKNOWN);
    assert_eq!(status.position, Some(7));
    assert_eq!(status.primary.as_ref().map(|name| name.as_str()), Some("ledger"));
    assert_eq!(status.consistency, None);
    let summary = status.summary.expect("a summary");
    assert_eq!(
        (summary.sources.as_str(), summary.consistent.as_str(), summary.lag.as_str()),
        ("1/1", "", "")
    );
    assert_eq!(status.sources.expect("sources")[0].state, SourceSyncState::InSync);
}

#[test]
fn what_was_verified_is_told_and_what_was_appended_since_is_no_news() {
    let judged = Judged::Looked(known(testing::PAYMENTS), progress(&[]));
    let verified = |coverage, extra| {
        let consistency = Some(if extra == 0 { 10_000 } else { 9_998 });
        let verified = SeenVerified {
            consistency,
            coverage: Some(coverage),
            age_seconds: Some(30),
            extra,
            ..SeenVerified::default()
        };
        let ledger = SeenSource { is_up: true, verified, ..SeenSource::default() };
        let sources = BTreeMap::from([("ledger".to_owned(), ledger)]);
        Seen::Answered { is_open: true, position: Some(7), sources, primary: None, term: None }
    };
    let told_of = |status: &EventStoreStatus| {
        let (state, reason) = condition(status, "Consistent");
        (state, reason, status.summary.as_ref().expect("a summary").consistent.clone())
    };
    let first = told(&judged, &verified(4_000, 0), None, 100);
    assert_eq!(told_of(&first), (UNKNOWN, "Verifying".into(), "100 %".into()));
    let second = told(&judged, &verified(10_000, 0), Some(&first), 101);
    assert_eq!(told_of(&second), (TRUE, "Verified".into(), "100 %".into()));
    let found = second.consistency.clone().expect("what was found");
    assert_eq!((found.percent.as_str(), found.verified_percent.as_str()), ("100.00", "100.00"));
    assert_eq!(found.oldest_verification, first.consistency.expect("the same").oldest_verification);
    let third = told(&judged, &verified(9_000, 0), Some(&second), 130);
    assert_eq!(told_of(&third).0, TRUE);
    let fourth = told(&judged, &verified(10_000, 2), Some(&third), 160);
    assert_eq!(told_of(&fourth), (FALSE, "Inconsistent".into(), "99.98 %".into()));
    assert_eq!(fourth.consistency.expect("what was found").extra, 2);
}

#[test]
fn a_gateway_that_is_not_seen_makes_nothing_false() {
    let nothing = Seen::Nothing("no answer".into());
    let status = told(&Judged::Looked(known(testing::PAYMENTS), progress(&[])), &nothing, None, 1);
    assert_eq!(condition(&status, "Available"), (UNKNOWN, "GatewayUnreachable".into()));
    assert_eq!(condition(&status, "Ready"), (UNKNOWN, "GatewayUnreachable".into()));
    assert_eq!(condition(&status, "Provisioned"), (TRUE, "UpToDate".into()));
    assert_eq!(status.position, None);
}

#[test]
fn steps_that_wait_are_news_while_the_store_serves() {
    let waiting = progress(&["drop it", "drop that"]);
    let status = told(&Judged::Looked(known(testing::PAYMENTS), waiting.clone()), &serving(), None, 1);
    assert_eq!(condition(&status, "Ready"), (FALSE, "ApprovalRequired".into()));
    assert_eq!(condition(&status, "ApprovalRequired").0, TRUE);
    assert_eq!(condition(&status, "Available").0, TRUE);
    assert_eq!(condition(&status, "Stalled").0, FALSE);
    let plan = status.plan.clone().expect("a plan");
    assert_eq!((plan.phase, plan.hash), (PlanPhase::Pending, Some(waiting.waiting.hash())));
    assert_eq!((plan.steps.map(|steps| steps.len()), plan.more), (Some(2), 0));
    let all = status.conditions.iter().flatten();
    let approval = all.into_iter().find(|condition| condition.type_ == "ApprovalRequired").expect("there");
    assert!(approval.message.contains(&waiting.waiting.hash()), "{}", approval.message);
    // and once they are done
    let done = told(&Judged::Looked(known(testing::PAYMENTS), progress(&[])), &serving(), Some(&status), 2);
    assert_eq!(done.plan.expect("a plan").phase, PlanPhase::Applied);
    for (mode, reason) in [("PlanOnly", "PlanOnly"), ("External", "SchemaMissing")] {
        let known = known(&format!("provisioning: {{mode: {mode}}}\n{}", testing::PAYMENTS));
        let status = told(&Judged::Looked(known, waiting.clone()), &serving(), None, 1);
        assert_eq!(condition(&status, "Provisioned"), (FALSE, reason.into()));
        assert_eq!(condition(&status, "ApprovalRequired").0, FALSE, "nobody can approve it");
    }
}

#[test]
fn a_status_shows_twenty_steps_and_says_how_many_more_there_are() {
    let statements: Vec<String> = (0..23).map(|number| format!("step {number}")).collect();
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let judged = Judged::Looked(known(testing::PAYMENTS), progress(&statements));
    let plan = told(&judged, &serving(), None, 1).plan.expect("a plan");
    assert_eq!((plan.steps.map(|steps| steps.len()), plan.more), (Some(20), 3));
}

#[test]
fn what_the_manifest_cannot_be_stalls_and_what_stands_in_the_way_is_tried_again() {
    let good = told(&Judged::Looked(known(testing::PAYMENTS), progress(&[])), &serving(), None, 1);
    let invalid = told(&refused(Reason::SecretNotFound), &serving(), Some(&good), 2);
    assert_eq!(condition(&invalid, "Valid"), (FALSE, "SecretNotFound".into()));
    assert_eq!(condition(&invalid, "Ready"), (FALSE, "SecretNotFound".into()));
    assert_eq!(condition(&invalid, "Stalled").0, TRUE);
    assert_eq!(condition(&invalid, "Provisioned"), (TRUE, "UpToDate".into()), "it still stands there");
    assert_eq!(invalid.store_id, good.store_id);
    assert_eq!(invalid.sources, good.sources);
    let down = told(&refused(Reason::Unreachable), &serving(), Some(&good), 2);
    assert_eq!(condition(&down, "Valid").0, TRUE);
    assert_eq!(condition(&down, "Provisioned"), (FALSE, "Unreachable".into()));
    assert_eq!(condition(&down, "CredentialsValid").0, UNKNOWN);
    assert_eq!(condition(&down, "ConnectionBudget"), (TRUE, "Enough".into()), "as it was measured last");
    assert_eq!((condition(&down, "Reconciling").0, condition(&down, "Stalled").0), (TRUE, FALSE));
    let rights = told(&refused(Reason::InsufficientRights), &serving(), None, 2);
    assert_eq!(condition(&rights, "CredentialsValid"), (FALSE, "InsufficientRights".into()));
    let mut failed = Refusal::new(Reason::Unreachable, "words");
    failed.while_applying = true;
    let failed = told(&Judged::Refused(failed), &serving(), Some(&good), 2);
    assert_eq!(failed.plan.expect("a plan").phase, PlanPhase::Failed);
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let first = told(&refused(Reason::Unreachable), &serving(), None, 1);
    let second = told(&refused(Reason::DiskFull), &serving(), Some(&first), 2);
    let time = |status: &EventStoreStatus, type_: &str| {
        let all = status.conditions.iter().flatten();
        let found = all.into_iter().find(|condition| condition.type_ == type_).expect("there");
        found.last_transition_time.as_second()
    };
    assert_eq!(time(&second, "Provisioned"), 1, "another reason, the same status");
    let good = told(&Judged::Looked(known(testing::PAYMENTS), progress(&[])), &serving(), Some(&second), 3);
    assert_eq!((time(&good, "Provisioned"), time(&good, "Valid")), (3, 1));
}

#[test]
fn pods_without_the_sidecar_of_this_version_are_counted() {
    let judged = Judged::Looked(known(testing::PAYMENTS), progress(&[]));
    let counts = PodCounts { selected: 3, injected: 2, outdated: 1, ..PodCounts::default() };
    let status = status(&Facts {
        name: "payments",
        namespace: "shop",
        generation: None,
        judged: &judged,
        gateway: &serving(),
        pods: &counts,
        previous: None,
        now: Timestamp::UNIX_EPOCH,
    });
    assert_eq!(condition(&status, "SidecarsCurrent"), (FALSE, "RestartNeeded".into()));
    assert_eq!(status.summary.expect("a summary").pods, "1/3");
}

#[test]
fn a_source_that_stands_still_says_where_and_how_to_see_why() {
    let (known, progress) = several();
    let mut gateway = seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", true, 40)]);
    if let Seen::Answered { sources, .. } = &mut gateway {
        sources.entry("spare".to_owned()).or_default().stalled = Some(61);
    }
    let status = told(&Judged::Looked(known, progress), &gateway, None, 1);
    let spare = &status.sources.expect("sources")[2];
    assert_eq!(spare.state, SourceSyncState::Stalled);
    let stalled = spare.stalled.as_ref().expect("where");
    assert_eq!(stalled.position, 61);
    assert!(
        stalled.reason.ends_with(
            "kubectl logs --namespace shop --selector \
             app.kubernetes.io/name=polylog-gateway,app.kubernetes.io/instance=payments --tail -1 | grep source_stalled"
        ),
        "{}",
        stalled.reason
    );
}

/// Three sources, of which the last comes to a log that pods use.
fn several() -> (Known, Progress) {
    let source = |name: &str| {
        format!("{{name: {name}, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: {name}}}}}")
    };
    let spec = format!("sources: [{}, {}, {}]", source("ledger"), source("mirror"), source("spare"));
    let member = |name: &str, follows| Membership { source: name.into(), database: None, follows };
    let members =
        vec![member("ledger", None), member("mirror", None), member("spare", Some(Follows::NotYet))];
    let sources = vec![there("ledger"), there("mirror"), there("spare")];
    (Known { members, ..known(&spec) }, Progress { sources, ..progress(&[]) })
}

fn seen(sources: &[(&str, bool, u64)]) -> Seen {
    let source = |(name, is_up, lag): &(&str, bool, u64)| {
        let (lag_events, lag_seconds) = (Some(*lag), Some(*lag / 10));
        let seen = SeenSource { is_up: *is_up, lag_events, lag_seconds, ..SeenSource::default() };
        ((*name).to_owned(), seen)
    };
    let sources = sources.iter().map(source).collect();
    Seen::Answered {
        is_open: true,
        position: Some(100),
        sources,
        primary: Some("mirror".into()),
        term: Some(3),
    }
}

#[test]
fn each_source_of_several_says_how_far_it_is() {
    let (known, progress) = several();
    let judged = Judged::Looked(known, progress);
    let gateway = seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", true, 40)]);
    let status = told(&judged, &gateway, None, 1);
    assert_eq!((status.primary.as_ref().map(|name| name.as_str()), status.term), (Some("mirror"), Some(3)));
    let summary = status.summary.clone().expect("a summary");
    assert_eq!((summary.sources.as_str(), summary.lag.as_str()), ("2/3", "40"));
    let sources = status.sources.clone().expect("sources");
    assert_eq!((sources[0].state, sources[0].role), (SourceSyncState::InSync, SourceRole::Voter));
    let spare = &sources[2];
    assert_eq!((spare.state, spare.role), (SourceSyncState::Syncing, SourceRole::Learner));
    assert_eq!((spare.position, spare.lag_events, spare.lag_seconds), (Some(60), Some(40), Some(4)));
    assert_eq!(condition(&status, "Replicating"), (FALSE, "SourcesJoining".into()));
    assert_eq!(condition(&status, "Ready"), (FALSE, "SourcesJoining".into()));
    assert_eq!(condition(&status, "Available").0, TRUE);
    // what follows does not vote, also in the eyes of an operator that is started anew
    let before = crate::event_store::membership::Before::of(Some(&status));
    assert_eq!((before.provisioned.len(), before.voters.len()), (3, 2));
}

#[test]
fn a_replica_that_is_away_makes_a_store_neither_unavailable_nor_unready() {
    let (known, mut progress) = several();
    let members = known.members.iter().map(|member| Membership { follows: None, ..member.clone() });
    let known = Known { members: members.collect(), ..known.clone() };
    let good = seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", true, 3)]);
    let status = told(&Judged::Looked(known.clone(), progress.clone()), &good, None, 1);
    assert_eq!(condition(&status, "Replicating"), (TRUE, "Lagging".into()));
    assert_eq!(condition(&status, "Ready").0, TRUE);
    let failure = Refusal::new(Reason::Unreachable, "no route");
    progress.sources[2] =
        SourceProgress { identity: None, format: None, failure: Some(failure), ..there("spare") };
    let judged = Judged::Looked(known.clone(), progress);
    let away = seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", false, 9)]);
    let status = told(&judged, &away, Some(&status), 2);
    assert_eq!(condition(&status, "Replicating"), (FALSE, "SourceDown".into()));
    assert_eq!((condition(&status, "Available").0, condition(&status, "Ready").0), (TRUE, TRUE));
    let spare = &status.sources.as_ref().expect("sources")[2];
    assert_eq!(spare.state, SourceSyncState::Unreachable);
    assert!(spare.database_id.is_some(), "it is the same database still");
    let lost = seen(&[("ledger", false, 0), ("mirror", true, 0), ("spare", false, 9)]);
    assert_eq!(condition(&told(&judged, &lost, Some(&status), 3), "Available"), (FALSE, "SourceDown".into()));
}

#[test]
fn the_format_of_a_log_is_what_its_head_says() {
    let format = |status: &EventStoreStatus, index: usize| {
        status.sources.as_ref().expect("sources")[index].format_version
    };
    let too_new = |found| {
        Refusal::of_source("postgres://db/shop", &Failure::FormatTooNew { found, known: polylog_log::FORMAT })
    };
    let good = told(&Judged::Looked(known(testing::PAYMENTS), progress(&[])), &serving(), None, 1);
    assert_eq!(format(&good, 0), Some(7));
    let raised = told(&Judged::Refused(too_new(8)), &serving(), Some(&good), 2);
    assert_eq!(condition(&raised, "Provisioned"), (FALSE, "FormatTooNew".into()));
    assert_eq!(format(&raised, 0), Some(8));

    let (known, mut progress) = several();
    let failure = too_new(8);
    progress.sources[2] = SourceProgress {
        identity: None,
        format: failure.found_format,
        failure: Some(failure),
        ..there("spare")
    };
    let status = told(&Judged::Looked(known.clone(), progress.clone()), &serving(), None, 1);
    assert_eq!((format(&status, 1), format(&status, 2)), (Some(7), Some(8)));
    // one that does not answer is what it was
    let away = Refusal::new(Reason::Unreachable, "no route");
    progress.sources[2] =
        SourceProgress { identity: None, format: None, failure: Some(away), ..there("spare") };
    assert_eq!(format(&told(&Judged::Looked(known, progress), &serving(), Some(&status), 2), 2), Some(8));
}

#[test]
fn a_source_that_drains_may_be_removed_once_the_gateway_saw_that_it_votes_no_more() {
    let (mut known, progress) = several();
    known.members[2].follows = None;
    let gateway = |votes| match seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", true, 0)]) {
        Seen::Answered { is_open, position, mut sources, primary, term } => {
            sources.get_mut("spare").expect("it is there").votes = Some(votes);
            Seen::Answered { is_open, position, sources, primary, term }
        }
        nothing => nothing,
    };
    let voted = told(&Judged::Looked(known.clone(), progress.clone()), &gateway(true), None, 1);
    known.members[2].follows = Some(Follows::Draining);
    known.store.sources[2].state = SourceState::Draining;
    let judged = Judged::Looked(known, progress);
    let of = |gateway: &Seen, before| {
        let status = told(&judged, gateway, Some(before), 2);
        let spare = status.sources.as_ref().expect("sources")[2].clone();
        let before = crate::event_store::membership::Before::of(Some(&status));
        (spare.role, spare.message.unwrap_or_default(), before.voters.contains("spare"))
    };
    let (role, message, votes) = of(&gateway(true), &voted);
    assert!(role == SourceRole::Voter && message.contains("votes still") && votes, "{message}");
    let nobody = Seen::Nothing("it is away".into());
    assert!(of(&nobody, &voted).2, "what nobody saw is as it was");
    let (role, message, votes) = of(&gateway(false), &voted);
    assert!(role == SourceRole::Learner && message.contains("may be removed") && !votes, "{message}");
}

#[test]
fn a_source_under_maintenance_is_no_obstacle() {
    let (mut known, progress) = several();
    known.members[2].follows = None;
    known.store.sources[2].state = SourceState::Maintenance;
    let away = seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", false, 9)]);
    let status = told(&Judged::Looked(known, progress), &away, None, 1);
    let spare = &status.sources.as_ref().expect("sources")[2];
    assert_eq!((spare.state, spare.role), (SourceSyncState::Maintenance, SourceRole::Voter));
    assert_eq!((condition(&status, "Available").0, condition(&status, "Ready").0), (TRUE, TRUE));
}
