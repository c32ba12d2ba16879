//! A full disk refuses appends, loses nothing, and goes on when there is room again.

mod support;

use polylog_log::{Commit, Expected, Failure, OperationError, RefusedReason, StreamAppend, Verdict};
use polylog_test_bed::MariadbServer;
use support::{Store, append, check_log, event, identity, stream};

#[tokio::test]
async fn a_full_disk_is_refused_and_nothing_is_lost() {
    let server = MariadbServer::with_small_disk(16);
    let mut store = Store::unprovisioned(&server, identity(1));
    (store.database, store.url) = ("cramped".into(), server.url("cramped"));
    support::provision(&store.config(), store.identity).await.expect("a provisioned database");
    server.execute(
        "cramped",
        "CREATE TABLE ballast (x longblob); INSERT INTO ballast SELECT repeat(md5(seq), 200) FROM seq_1_to_600",
    );
    let source = store.primary().await;

    let mut written = 0;
    let refused = loop {
        let size = [100, 3_000, 50_000][written % 3];
        let noise = noise(size);
        let events = vec![event(noise)];
        let append_of = StreamAppend::new(stream("s"), Expected::Any, events);
        let commit = Commit::new(store.identity.log, vec![append_of]);
        match append(&source, &store.identity, vec![commit.clone()]).await {
            Ok(_) => written += 1,
            Err(error) => {
                let reason = RefusedReason::DiskFull;
                let is_refused = matches!(&error, OperationError::Failed(Failure::Refused { reason: r, .. }) if *r == reason);
                assert!(is_refused, "after {written}: {error:?}");
                break commit;
            }
        }
        assert!(written < 10_000, "the disk never fills");
    };
    assert!(written > 10, "only {written} commits found room");
    assert_eq!(check_log(&source).await.len(), 1 + written, "what was acknowledged, and nothing else");
    for _ in 0..3 {
        assert!(append(&source, &store.identity, vec![refused.clone()]).await.is_err());
    }
    assert_eq!(check_log(&source).await.len(), 1 + written);

    server.execute("cramped", "DROP TABLE ballast");
    let appended = append(&source, &store.identity, vec![refused]).await.expect("an append");
    assert!(matches!(appended.verdicts[..], [Verdict::Committed(_)]), "{appended:?}");
    assert_eq!(check_log(&store.open().await).await.len(), 2 + written);
}

/// What does not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state: u64 = 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}
