//! The kit starts real processes, hears what they say, kills them, and notices when what they wrote is gone.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use polylog_log::{
    Identity, Open, Rules, Source, SourceName, Term,
    conformance::{Database, Harness, Outcome, Processes, Violation, cases, child, run},
};
use polylog_source_simulated::{Options, transactional};
use support::{Kind, Simulated};

const CASE: &str = "processes::killed_processes_lose_and_double_nothing";

/// Every process gets a database of its own: whatever one writes, no other finds.
struct Forgetful(Arc<Simulated>);

struct ForgetfulDatabase(Box<dyn Database>);

#[async_trait]
impl Harness for Forgetful {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        Ok(Box::new(ForgetfulDatabase(self.0.create(identity, voter).await?)))
    }
}

#[async_trait]
impl Database for ForgetfulDatabase {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        self.0.open().await
    }

    async fn crash(&self) -> Result<(), Violation> {
        self.0.crash().await
    }

    fn processes(&self) -> Option<Processes> {
        Some(Processes { child_test: "writes_until_it_is_killed", locator: "memory".into() })
    }
}

#[tokio::test]
async fn writes_until_it_is_killed() {
    let open = |locator: String, identity: Identity| async move {
        assert_eq!(locator, "memory");
        let name = SourceName::recorded("a");
        let database = transactional::Database::new(identity, name.clone(), Options::default());
        let source = database.connect();
        let nonce = polylog_log::Nonce::from_bytes([1; 16]);
        let term = Term::FIRST;
        let tail = source.promise(&identity, term, nonce).await?.tail;
        source
            .open(&identity, Open { term, nonce, tail, primary: name, forced: false, missing: vec![] })
            .await?;
        Ok(Arc::new(source) as Arc<dyn Source>)
    };
    child(open).await.expect("the child's work");
}

#[tokio::test]
async fn what_processes_wrote_and_nobody_finds_is_noticed() {
    let case = cases().into_iter().find(|case| case.name == CASE).expect("the case of processes");
    for kind in [Kind::Transactional, Kind::Document] {
        let outcome = run(case, Arc::new(Forgetful(Simulated::new(kind, Rules::ALL))), 1).await;
        let Outcome::Failed(violation) = outcome else { panic!("nothing was noticed: {outcome:?}") };
        assert!(violation.to_string().contains("acknowledged commit"), "{violation}");
    }
}
