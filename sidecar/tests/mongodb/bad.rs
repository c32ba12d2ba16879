//! Databases that must not be used, or not now.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use polylog_test_bed::{Keeps, MongodbServer};

use crate::{
    SERVER, STORE, count, database,
    support::process::{Dev, at, command, folder, refused},
    url,
};

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_with_its_code_and_what_to_do() {
    let name = SERVER.new_name();
    let new = || folder(STORE);
    let nobody = at("mongodb://root:geheim@127.0.0.1:1/x?serverSelectionTimeoutMS=500");
    refused(new().path(), &nobody, 3, &["source_unavailable", "next: start the database"]);
    refused(new().path(), &at("mongodb+srv://root:geheim@h/x"), 2, &["mongodb+srv:// is not supported"]);
    refused(new().path(), &at(&url(&SERVER, "admin")), 2, &["not admin, config or local"]);

    let server = MongodbServer::with(Keeps::Memory, &["strict", "password"]);
    let closed = at(&format!("{}{name}", server.url().replace("//", "//root:geheim@")));
    refused(new().path(), &closed, 1, &["source_refused", "next: correct the user or the password"]);
    server.behave(&["no-inserts"]);
    let open = at(&url(&server, &name));
    refused(new().path(), &open, 1, &["source_refused", "not authorized", "next: grant it"]);

    let theirs = database(&SERVER, &name).await.collection::<Document>("polylog_head");
    theirs.insert_one(doc! { "name": "theirs" }).await.unwrap();
    let words = ["wrong_store", "polylog_head belongs to another application"];
    refused(new().path(), &at(&url(&SERVER, &name)), 1, &words);
    assert_eq!(database(&SERVER, &name).await.list_collection_names().await.unwrap(), ["polylog_head"]);
}

/// What a log needs of a server, one property at a time.
#[tokio::test]
async fn a_server_without_what_a_log_needs_is_refused_by_the_property() {
    let server = MongodbServer::start(Keeps::Memory);
    let lacking: [(&[&str], &str); 5] = [
        (&[], "does not look at write concerns"),
        (&["strict", "no-majority"], "w: majority"),
        (&["strict", "double-ids"], "inserted one _id at once"),
        (&["strict", "lost-increments"], "increments at once"),
        (&["strict", "false-wins"], "conditional updates are not atomic"),
    ];
    for (habits, words) in lacking {
        server.behave(habits);
        let source = at(&url(&server, &server.new_name()));
        refused(folder(STORE).path(), &source, 1, &["source_refused", "the server cannot hold a log", words]);
    }
    // a server that was good when the log began is looked at again at each start
    let (folder, source) = (folder(STORE), at(&url(&server, &server.new_name())));
    server.behave(&["strict"]);
    Dev::start(folder.path(), &source).stop();
    server.behave(&[]);
    refused(folder.path(), &source, 1, &["source_refused", "does not look at write concerns"]);
    let mut told = command(folder.path(), &source);
    told.arg("--unsafe-durability");
    let running = Dev::of(told);
    assert!(running.banner.contains("unsafe durability"), "{}", running.banner);
    running.client.append("Payment-1", "Paid", "1").await;
}

#[tokio::test]
async fn another_stores_database_is_refused() {
    let (mine, other) = (at(&url(&SERVER, &SERVER.new_name())), at(&url(&SERVER, &SERVER.new_name())));
    let folder_of_mine = folder(STORE);
    Dev::start(folder_of_mine.path(), &mine).stop();
    Dev::start(folder(STORE).path(), &other).stop();
    refused(folder_of_mine.path(), &other, 1, &["wrong_store", "holds log", "--data"]);
    let empty = SERVER.new_name();
    refused(folder_of_mine.path(), &at(&url(&SERVER, &empty)), 1, &["wrong_store", "holds no log"]);
    assert!(database(&SERVER, &empty).await.list_collection_names().await.unwrap().is_empty());
}

/// What goes wrong while a sidecar runs is told by its code, nothing is written meanwhile, and it goes on by itself.
#[tokio::test]
async fn what_is_put_right_again_is_used_again() {
    let server = MongodbServer::with(Keeps::Memory, &["strict"]);
    let name = server.new_name();
    let folder = folder(STORE);
    let running = Dev::start(folder.path(), &at(&url(&server, &name)));
    running.client.append("Payment-1", "Paid", "1").await;
    for (habit, reason) in [("no-inserts", None), ("full", Some("disk_full"))] {
        // an append is decided by the head: without a right to insert it stands there
        server.behave(&[habit]);
        let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
        let deadline = Instant::now() + Duration::from_secs(60);
        let problem = loop {
            let answer = running.client.post("/v1/streams/Payment-1", body).await;
            if !answer.status.is_success() {
                break answer.problem("source_refused");
            }
            assert!(Instant::now() < deadline, "{habit} is not noticed");
        };
        let expected = reason.unwrap_or("rights");
        assert_eq!((&problem["facts"]["reason"], &problem["written"]), (&expected.into(), &"nothing".into()));
        let before = running.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"].clone();
        server.behave(&[]);
        running.client.append("Payment-1", "Paid", "2").await;
        let after = running.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"].clone();
        assert_eq!(after.as_u64(), before.as_u64().map(|before| before + 1), "{habit}");
    }
    // somebody drops the head
    database(&server, &name).await.collection::<Document>("polylog_head").drop().await.unwrap();
    let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
    running.client.post("/v1/streams/Payment-1", body).await.problem("not_provisioned");
    let events = count(&server, &name, doc! {}).await;
    drop(running);
    refused(
        folder.path(),
        &at(&url(&server, &name)),
        1,
        &["damaged", &format!("{events} events and no head")],
    );
}

#[tokio::test]
async fn destructive_steps_wait_for_their_hash() {
    let name = SERVER.new_name();
    let source = at(&url(&SERVER, &name));
    let folder = folder(&STORE.replace("spec:", "spec:\n  events: {indexes: [Type]}"));
    Dev::start(folder.path(), &source).stop();
    std::fs::write(folder.path().join("store.yaml"), STORE).unwrap();
    let has_index = async || {
        let events = database(&SERVER, &name).await.collection::<Document>("polylog_events");
        events.list_index_names().await.unwrap().contains(&"polylog_type".to_owned())
    };
    assert!(has_index().await);
    let waiting = Dev::start(folder.path(), &source);
    assert!(waiting.banner.contains("Destructive: drop index polylog_type"), "{}", waiting.banner);
    let hash = waiting.banner.split("--approve ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    waiting.stop();
    assert!(has_index().await);
    let mut approved = command(folder.path(), &source);
    approved.args(["--approve", &hash]);
    Dev::of(approved).stop();
    assert!(!has_index().await);
}
