//! Tests of the tests: a swap that asks for less lets something through that these scenarios see.
//!
//! Not here, because something else stands behind them: the tail (a position that is taken meets the primary key), lead
//! and configuration (neither changes without the term or the tail). They are defence in depth.

mod support;

use polylog_log::{
    Append, Commit, Config, ConfigVersion, DatabaseId, Expected, Incarnation, Member, Nonce, Position,
    Source, SourceName, Term, Verdict, Watermarks,
};
use polylog_source_mariadb::{MariadbSource, mutants::change_swap};
use support::{Store, append, commit, write};

/// What the swap says, and what a mutant says instead.
const MUTANTS: [(&str, &str, Scenario); 6] = [
    ("IF(format = ", "IF(0 < ", Scenario::Head("format = 2")),
    (" AND log = ", " AND '' <> ", Scenario::Head("log = unhex(md5(1))")),
    (" AND `database` = ", " AND '' <> ", Scenario::Head("`database` = unhex(md5(2))")),
    (" AND incarnation = ", " AND '' <> ", Scenario::Head("incarnation = unhex(md5(3))")),
    (" AND term = ", " AND 0 < ", Scenario::Promise),
    ("stable = GREATEST(stable, ", "stable = (", Scenario::Watermarks),
];

#[derive(Debug, Clone, Copy)]
enum Scenario {
    /// Somebody changes the head by hand; the next append must be refused.
    Head(&'static str),
    /// Another process promises a higher term; the next append must be refused.
    Promise,
    /// Another process raises a watermark; the next append must not lower it.
    Watermarks,
}

#[tokio::test]
async fn a_swap_that_asks_for_less_is_caught() {
    for (from, to, scenario) in MUTANTS {
        change_swap(None);
        assert!(holds(scenario).await, "{scenario:?} as it is");
        change_swap(Some((from, to)));
        assert!(!holds(scenario).await, "{scenario:?} with {to}");
    }
    change_swap(None);
}

/// Whether a source that remembers notices what happened.
async fn holds(scenario: Scenario) -> bool {
    let store = Store::new().await;
    let (source, of) = (store.primary().await, store.identity);
    let next = || vec![commit(of.log, "s", Expected::Any)];
    match scenario {
        Scenario::Head(change) => {
            write(&source, &of, next().remove(0)).await;
            store.execute(&format!("UPDATE polylog_head SET {change}"));
            append(&source, &of, next()).await.is_err()
        }
        Scenario::Promise => {
            write(&source, &of, next().remove(0)).await;
            let other = store.open().await;
            other.promise(&of, Term::new(2), Nonce::new(uuid::Uuid::nil())).await.expect("a promise");
            append(&source, &of, next()).await.is_err()
        }
        Scenario::Watermarks => {
            configure_three(&source, &store).await;
            let known = |stable| Watermarks { stable: Position::new(stable), acked: Position::ZERO };
            let other = store.open().await;
            under(&source, &store, next(), known(1)).await;
            assert_eq!(under(&other, &store, Vec::new(), known(2)).await, Position::new(2));
            under(&source, &store, next(), known(1)).await >= Position::new(2)
        }
    }
}

/// With more than one voter a primary does not know by itself what a majority holds.
async fn configure_three(source: &MariadbSource, store: &Store) {
    let voter = |name: &str| Member {
        name: SourceName::parse(name).expect("a good name"),
        database: DatabaseId::new(uuid::Uuid::new_v4()),
        incarnation: Incarnation::new(uuid::Uuid::new_v4()),
    };
    let implicit = source.head().await.expect("a head").config.config;
    let mut config = Config { version: ConfigVersion(1), ..(*implicit).clone() };
    config.voters.extend([voter("b"), voter("c")]);
    append(source, &store.identity, vec![Commit::configure(store.identity.log, &config)])
        .await
        .expect("a configuration");
}

/// Appends under `$config` 1; the stable watermark afterwards.
async fn under(
    source: &MariadbSource,
    store: &Store,
    batch: Vec<Commit>,
    watermarks: Watermarks,
) -> Position {
    let append = Append { term: Term::FIRST, config: ConfigVersion(1), batch: batch.into(), watermarks };
    let appended = source.append(&store.identity, append).await.expect("an append");
    assert!(appended.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Committed(_))));
    appended.head.watermarks.stable
}
