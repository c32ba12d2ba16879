//! A full disk refuses appends, loses nothing, and goes on when there is room again.

mod support;

use std::{fs, path::Path};

use polylog_log::{Expected, Failure, OperationError, RefusedReason, StreamAppend, Verdict};
use polylog_source_sqlite::{SqliteConfig, SqliteSource};
use support::{append, check_log, event, identity, lead, stream};

/// A real file system of 4 MB, in a mount namespace of its own: works for root and for others.
#[test]
fn a_full_disk_is_refused_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = support::child("child_on_a_small_disk", "");
    let status = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-ec"])
        .arg("mount -t tmpfs -o size=4m none \"$POLYLOG_TEST_TASK\"; exec \"$0\" \"$@\"")
        .arg(child.get_program())
        .args(child.get_args())
        .env("POLYLOG_TEST_TASK", folder.path())
        .status()
        .expect("unshare of util-linux");
    assert!(status.success());
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "the child was on its own disk");
}

#[tokio::test]
async fn child_on_a_small_disk() {
    let Some(folder) = support::task() else { return };
    let folder = Path::new(&folder);
    let (path, ballast) = (folder.join("log.db"), folder.join("ballast"));
    fs::write(&ballast, vec![1; 1 << 20]).expect("a ballast");
    let of = identity(1);
    support::provision(&path, of).expect("a provisioned file");
    let source = SqliteSource::open(SqliteConfig::new(&path)).await.expect("an open source");
    lead(&source, &of, 1).await;

    let mut written = 0;
    let refused = loop {
        let size = [100, 3_000, 50_000][written % 3];
        let events = vec![event(vec![b'1'; size])];
        let commit =
            polylog_log::Commit::new(of.log, vec![StreamAppend::new(stream("s"), Expected::Any, events)]);
        match append(&source, &of, vec![commit.clone()]).await {
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
    let log = check_log(&source).await;
    assert_eq!(log.len(), 1 + written, "what was acknowledged, and nothing else");

    // again and again it is a refusal, and reading goes on
    for _ in 0..3 {
        assert!(append(&source, &of, vec![refused.clone()]).await.is_err());
    }
    assert_eq!(check_log(&source).await.len(), 1 + written);

    fs::remove_file(&ballast).expect("room");
    let appended = append(&source, &of, vec![refused]).await.expect("an append");
    assert!(matches!(appended.verdicts[..], [Verdict::Committed(_)]), "{appended:?}");
    source.close().await;
    let source = SqliteSource::open(SqliteConfig::new(&path)).await.expect("an open source");
    assert_eq!(check_log(&source).await.len(), 2 + written);
}
