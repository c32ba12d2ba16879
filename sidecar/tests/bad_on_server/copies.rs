//! Another log in the place of the one that is served.

use std::sync::LazyLock;

use tonic::Code as Status;

use super::{Served, servers::BadServer};
use crate::support::{
    mounted::until,
    process::{Dev, folder, refused},
};

pub async fn another_stores_database<S: BadServer>(shared: &LazyLock<S>) {
    let (served, other) = (Served::new(&**shared).await, Served::new(&**shared).await);
    let Served { place: by, running, .. } = other;
    running.stop();
    let kept = shared.replace(&served.place, &by, &served.user);
    served.refuses("another store", "wrong_store", 409, Status::FailedPrecondition, "store").await;
    assert_eq!(served.count("type = 'Refused'"), 0);
    shared.put_back(&served.place, &kept);
    served.recovers("another store").await;
}

/// The log goes back under a sidecar that runs: it writes nothing over what it has shown.
pub async fn an_older_copy_in_the_place_of_the_database<S: BadServer>(shared: &LazyLock<S>) {
    let served = Served::new(&**shared).await;
    let copy = shared.copy(&served.place, &served.user);
    served.recovers("copy").await;
    let later = served.running.client.append("Payment-1", "Paid", "3").await;
    let token = later["token"].as_str().unwrap();
    let last_seen = served.folder.path().join(".polylog/shop.payments/last-seen.json");
    // it is written down once a second: what was shown after that, a later start cannot miss
    until("it is written down how far the log came", || async {
        let seen = std::fs::read(&last_seen).ok()?;
        let seen: serde_json::Value = serde_json::from_slice(&seen).unwrap();
        (seen["position"] == later["lastPosition"]).then_some(())
    })
    .await;
    let kept = shared.replace(&served.place, &copy, &served.user);
    let events = served.count("true");
    served.refuses("older copy", "wrong_store", 409, Status::FailedPrecondition, "the log went back").await;
    assert_eq!(served.count("true"), events, "nothing was written");

    // a process that starts now cannot know, and goes on from there; the copy comes further than the database was
    let (source, manifests) = (served.source(), served.manifests());
    let folder_of_second = folder(&manifests);
    let second = Dev::start(folder_of_second.path(), &source);
    let stale = second.client.get(&format!("/v1/events?token={token}")).await;
    stale.problem("history_forked");
    for _ in 0..5 {
        second.client.append("Payment-9", "Paid", "1").await;
    }
    second.client.get(&format!("/v1/events?token={token}")).await.problem("history_forked");
    second.stop();
    // however far others came: what this one has shown is not there
    served.refuses("forked", "wrong_store", 409, Status::FailedPrecondition, "the log went back").await;

    // nor does one start that has written down how far it came
    let folder_of_third = folder(&manifests);
    let copied = folder_of_third.path().join(".polylog/shop.payments");
    std::fs::create_dir_all(&copied).unwrap();
    std::fs::copy(last_seen, copied.join("last-seen.json")).unwrap();
    refused(folder_of_third.path(), &source, 1, &["wrong_store", "the log went back", "last-seen.json"]);
    std::fs::remove_file(copied.join("last-seen.json")).unwrap();
    Dev::start(folder_of_third.path(), &source).stop();

    shared.put_back(&served.place, &kept);
    served.recovers("older copy").await;
    let read = served.running.client.get(&format!("/v1/events?token={token}")).await.ok().json();
    assert!(read["events"].as_array().is_some_and(|events| events.len() >= 4), "{read}");
}

/// A dump holds everything by which a log is known: one of all that there is takes the database's place unnoticed, an older one
/// is told.
pub async fn a_dump_that_was_restored_in_the_place_of_the_database<S: BadServer>(shared: &LazyLock<S>) {
    let served = Served::new(&**shared).await;
    let older = shared.restored_dump(&served.place, &served.user);
    served.recovers("after the dump").await;
    let kept = shared.replace(&served.place, &older, &served.user);
    let events = served.count("true");
    served.refuses("older dump", "wrong_store", 409, Status::FailedPrecondition, "the log went back").await;
    assert_eq!(served.count("true"), events, "nothing was written");
    shared.put_back(&served.place, &kept);
    served.recovers("older dump").await;

    let newest = shared.restored_dump(&served.place, &served.user);
    let kept = shared.replace(&served.place, &newest, &served.user);
    served.recovers("newest dump").await;
    let first = served.running.client.get("/v1/streams/Payment-1").await.ok().json();
    assert_eq!(first["events"].as_array().map(Vec::len), Some(2), "{first}");
    shared.put_back(&served.place, &kept);
    served
        .refuses("before the dump", "wrong_store", 409, Status::FailedPrecondition, "the log went back")
        .await;
}
