//! Who elects and copies.

use super::*;

/// One gateway, and processes that do what is its to do once it is away.
#[tokio::test]
async fn a_process_without_duties_takes_them_when_nobody_shows_to_have_them_and_gives_them_back() {
    let three = Three::new();
    let shown = Duties::Shown(Duration::from_millis(50));
    let gateway = || StoreOptions { duties: shown, ..three.options(Acks::Majority) };
    let first = Store::open(gateway()).await.expect("opens");
    let after = Duration::from_millis(600);
    let sidecar =
        StoreOptions { duties: Duties::OnceFree(after), may_open: false, ..three.options(Acks::Majority) };
    let sidecar = Store::open(sidecar).await.expect("opens");
    append(&sidecar, 0).await;

    // as long as somebody has them, a source that is away and comes back is filled by that one alone
    three.remotes[2].cut(true);
    append(&sidecar, 1).await;
    three.remotes[2].cut(false);
    three.level().await;

    first.drain().await;
    drop(first);
    let before = primary(&sidecar).await.expect("a primary");
    let lost = (0..3).find(|number| source_name(*number as u128).to_string() == before).expect("one of them");
    three.remotes[lost].cut(true);
    let gone = Instant::now();
    until("the other one elects", || async {
        primary(&sidecar).await.is_some_and(|primary| primary != before)
    })
    .await;
    assert!(gone.elapsed() >= after, "not before it stood free for so long: {:?}", gone.elapsed());
    append(&sidecar, 2).await;
    three.remotes[lost].cut(false);
    three.level().await;

    // it is back, and the other one does no more than it did
    let back = Store::open(gateway()).await.expect("opens");
    tokio::time::sleep(after).await;
    back.drain().await;
    drop(back);
    let before = primary(&sidecar).await.expect("a primary");
    let lost = (0..3).find(|number| source_name(*number as u128).to_string() == before).expect("one of them");
    three.remotes[lost].cut(true);
    let early = sidecar.append(commit(3, "account-1", 1), None, within(300)).await;
    assert!(early.is_err(), "{early:?}");
}

/// Two processes seldom see the same of a network.
#[tokio::test]
async fn a_gateway_that_reaches_too_few_sources_does_not_keep_others_from_electing() {
    let three = Three::new();
    let of_gateway = Three::new();
    for (remote, same) in of_gateway.remotes.iter().zip(&three.remotes) {
        remote.replace_by(same);
    }
    let shown = Duties::Shown(Duration::from_millis(50));
    let gateway = StoreOptions { duties: shown, ..of_gateway.options(Acks::Majority) };
    let gateway = Store::open(gateway).await.expect("opens");
    let once_free = Duties::OnceFree(Duration::from_millis(600));
    let sidecar = StoreOptions { duties: once_free, may_open: false, ..three.options(Acks::Majority) };
    let sidecar = Store::open(sidecar).await.expect("opens");
    append(&sidecar, 0).await;
    three.level().await;
    assert_eq!(primary(&sidecar).await, Some(source_name(0).to_string()));

    // the gateway reaches the one that others ask first, and no majority
    of_gateway.remotes[0].cut(true);
    of_gateway.remotes[2].cut(true);
    three.remotes[0].cut(true);
    append(&sidecar, 1).await;
    assert_ne!(primary(&sidecar).await, Some(source_name(0).to_string()));
    drop(gateway);
}

/// The same of one that begins while nobody leads the log: it does not know who votes.
#[tokio::test]
async fn a_gateway_that_begins_with_too_few_sources_does_not_keep_others_from_electing() {
    let three = Three::new();
    let of_gateway = Three::new();
    for (remote, same) in of_gateway.remotes.iter().zip(&three.remotes) {
        remote.replace_by(same);
    }
    let once_free = Duties::OnceFree(Duration::from_millis(600));
    let first = Store::open(three.options(Acks::Majority)).await.expect("opens");
    let sidecar = StoreOptions { duties: once_free, may_open: false, ..three.options(Acks::Majority) };
    let sidecar = Store::open(sidecar).await.expect("opens");
    append(&sidecar, 0).await;
    three.level().await;
    first.drain().await;
    drop(first);
    three.remotes[0].cut(true);
    of_gateway.remotes[0].cut(true);
    of_gateway.remotes[2].cut(true);
    let shown = Duties::Shown(Duration::from_millis(50));
    let gateway = StoreOptions { duties: shown, ..of_gateway.options(Acks::Majority) };
    let mut unopened = Unopened::begin(gateway).await.expect("its log is known");
    unopened.open().await.expect_err("one of three does not elect");
    append(&sidecar, 1).await;
    assert_ne!(primary(&sidecar).await, Some(source_name(0).to_string()));
    drop(unopened);
}
