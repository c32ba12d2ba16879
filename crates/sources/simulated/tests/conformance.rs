//! Both simulated sources keep the contract.

mod support;

use polylog_log::{Rules, conformance::run_all};
use support::{Kind, Simulated};

async fn keeps_the_contract(kind: Kind) {
    let report = run_all(Simulated::new(kind, Rules::ALL)).await;
    println!("{report}");
    assert!(report.is_ok(), "{report}");
}

#[tokio::test]
async fn the_transactional_source_keeps_the_contract() {
    keeps_the_contract(Kind::Transactional).await;
}

#[tokio::test]
async fn the_document_source_keeps_the_contract() {
    keeps_the_contract(Kind::Document).await;
}

/// Threads take steps in between that no seed decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_keep_the_contract_with_threads_in_parallel() {
    keeps_the_contract(Kind::Transactional).await;
    keeps_the_contract(Kind::Document).await;
}
