//! Both simulated sources keep the contract.

mod support;

use polylog_log::{Rules, conformance::run_all};

#[tokio::test]
async fn the_transactional_source_keeps_the_contract() {
    let report = run_all(support::Transactional::new(Rules::ALL)).await;
    println!("{report}");
    assert!(report.is_ok(), "{report}");
}
