//! The simulated databases as the conformance kit wants them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use polylog_log::{
    FailPoints, Identity, Rules, Source, SourceName,
    conformance::{Database, Harness, Violation},
};
use polylog_source_simulated::{Options, transactional};

/// Makes databases with a transaction.
pub(crate) struct Transactional {
    rules: Rules,
    seed: AtomicU64,
}

impl Transactional {
    pub(crate) fn new(rules: Rules) -> Arc<Self> {
        Arc::new(Self { rules, seed: AtomicU64::new(1) })
    }
}

#[async_trait]
impl Harness for Transactional {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let options = Options { rules: self.rules, seed: self.seed.fetch_add(1, Ordering::Relaxed) };
        Ok(Box::new(TransactionalDatabase(transactional::Database::new(identity, voter, options))))
    }
}

struct TransactionalDatabase(transactional::Database);

#[async_trait]
impl Database for TransactionalDatabase {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        Ok(Arc::new(self.0.connect()))
    }

    async fn crash(&self) -> Result<(), Violation> {
        self.0.crash();
        Ok(())
    }

    fn fail_points(&self) -> FailPoints {
        self.0.fail_points()
    }
}
