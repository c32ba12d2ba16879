//! Who may connect to the databases, and how often.

use super::*;

#[test]
fn servers_have_room_for_every_process_of_the_store_or_the_message_says_what_to_do() {
    let told_with = |spec: &str, pools: Pools, injected: u32, limits: &[Option<u32>]| {
        let (known, mut progress) = (Known { pools, ..known(spec) }, progress(&[]));
        let of = |name: &str, most: &Option<u32>| SourceProgress {
            limit: most.map(|most| ConnectionLimit { name: "max_connections", most }),
            ..there(name)
        };
        progress.sources =
            ["ledger", "mirror", "spare"].into_iter().zip(limits).map(|(n, l)| of(n, l)).collect();
        let counts = PodCounts { selected: injected, injected, ..PodCounts::default() };
        let status = status(&Facts {
            name: "payments",
            namespace: "shop",
            generation: None,
            judged: &Judged::Looked(known, progress),
            gateway: &serving(),
            pods: &counts,
            previous: None,
            now: Timestamp::UNIX_EPOCH,
        });
        let found =
            status.conditions.iter().flatten().find(|condition| condition.type_ == "ConnectionBudget");
        let found = found.expect("there").clone();
        (found.status, found.reason, found.message)
    };
    // 10 of the gateway, 3 of each sidecar
    let one = |injected, most| told_with(testing::PAYMENTS, Pools::default(), injected, &[Some(most)]);
    let (state, _, message) = one(29, 97);
    assert_eq!(state, TRUE, "{message}");
    let (state, reason, message) = one(30, 97);
    assert_eq!((state, reason.as_str()), (FALSE, "TooMany"));
    assert_eq!(
        message,
        "ledger may get 100 connections (30 sidecars, 3 each; 1 gateways, 10 each), and max_connections is 97: set \
         delivery: Gateway, lower connection.pool.max or gateway.pool, or have the limit raised"
    );
    let of = |fields: &str| {
        let spec = format!("{fields}\n{}", testing::PAYMENTS);
        Pools::of(&testing::store(&spec).spec)
    };
    let through = of("delivery: Gateway\ngateway: {replicas: 2, pool: 20}");
    assert_eq!(told_with(testing::PAYMENTS, through, 300, &[Some(40)]).0, TRUE);
    assert_eq!(told_with(testing::PAYMENTS, through, 0, &[Some(39)]).0, FALSE);
    // each server is looked at apart, as far as it tells
    let source = |name: &str, pool: &str| {
        format!(
            "{{name: {name}, connection: {{secretRef: {{name: db}}{pool}}}, postgres: {{schema: {name}}}}}"
        )
    };
    let spec = format!("sources: [{}, {}]", source("ledger", ", pool: {max: 8}"), source("mirror", ""));
    let (state, _, message) = told_with(&spec, Pools::default(), 10, &[Some(89), Some(50)]);
    assert!(
        state == FALSE && message.starts_with("ledger may get 90 ") && !message.contains("mirror"),
        "{message}"
    );
    assert_eq!(told_with(&spec, Pools::default(), 10, &[Some(90), None]).0, TRUE);
    let (state, reason, _) = told_with(&spec, Pools::default(), 10, &[None, None]);
    assert_eq!((state, reason.as_str()), (UNKNOWN, "NotMeasured"));
}

#[test]
fn sidecars_that_cannot_connect_are_told_apart_from_provisioning() {
    let mut progress = progress(&[]);
    let failure = Failure::Refused { reason: polylog_log::RefusedReason::Auth, message: "words".into() };
    progress.sources[0].shut = Some(Refusal::of_source("postgres://db/shop, by connection", &failure));
    let status = told(&Judged::Looked(known(testing::PAYMENTS), progress.clone()), &serving(), None, 1);
    assert_eq!(condition(&status, "Provisioned"), (TRUE, "UpToDate".into()));
    assert_eq!(condition(&status, "CredentialsValid"), (FALSE, "Unauthorized".into()));
    assert_eq!(condition(&status, "Ready"), (FALSE, "Unauthorized".into()));
    let away =
        Refusal::of_source("postgres://db/shop, by connection", &Failure::Unreachable("no route".into()));
    progress.sources[0].shut = Some(away);
    let status = told(&Judged::Looked(known(testing::PAYMENTS), progress), &serving(), None, 1);
    assert_eq!(
        condition(&status, "CredentialsValid").0,
        TRUE,
        "it comes back by itself, or the gateway says it"
    );
}

#[test]
fn one_of_several_that_refuses_or_is_silent_is_told_beside_the_others() {
    let (known, mut progress) = several();
    let gateway = seen(&[("ledger", true, 0), ("mirror", true, 0), ("spare", true, 0)]);
    let told = |progress: &Progress, previous| {
        told(&Judged::Looked(known.clone(), progress.clone()), &gateway, previous, 1)
    };
    let failed = |failure: Failure| SourceProgress {
        identity: None,
        format: None,
        limit: None,
        failure: Some(Refusal::of_source("mysql://db/shop, by connection", &failure)),
        ..there("mirror")
    };
    progress.sources[1].limit = Some(ConnectionLimit { name: "max_connections", most: 9 });
    let full = told(&progress, None);
    assert_eq!(
        condition(&full, "ConnectionBudget"),
        (FALSE, "TooMany".into()),
        "the gateway alone may have ten"
    );
    progress.sources[1] = failed(Failure::Unreachable("too many connections".into()));
    let silent = told(&progress, Some(&full));
    assert_eq!(condition(&silent, "ConnectionBudget"), (FALSE, "TooMany".into()), "as it was");
    assert_eq!(condition(&silent, "CredentialsValid").0, TRUE);
    let words = "wrong password".into();
    progress.sources[1] =
        failed(Failure::Refused { reason: polylog_log::RefusedReason::Auth, message: words });
    let refused = told(&progress, None);
    assert_eq!(condition(&refused, "CredentialsValid"), (FALSE, "Unauthorized".into()));
    assert_eq!(condition(&refused, "Ready").0, FALSE);
}
