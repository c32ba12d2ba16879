//! What was given comes back byte for byte, from every way in and out.

mod support;

use polylog_test_bed::payloads;
use support::Store;

#[tokio::test]
async fn every_way_to_read_gives_the_bytes_that_were_given() {
    payloads::every_way_to_read_gives_the_bytes_that_were_given(&Store::new().await, true).await;
}

#[tokio::test]
async fn a_replica_and_its_quarantine_hold_the_bytes_that_were_given() {
    let (store, replica) = (Store::new().await, Store::of(payloads::replica()).await);
    payloads::a_replica_and_its_quarantine_hold_the_bytes_that_were_given(&store, &replica, true).await;
}
