//! The simulated databases as the conformance kit wants them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use polylog_log::{
    FailPoints, Identity, Position, Rules, Source, SourceName,
    conformance::{Damage, Database, Harness, Violation},
};
use polylog_source_simulated::{Options, document, transactional};

/// What a simulated database is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Transactional,
    Document,
}

/// Makes simulated databases; each with a seed of its own.
pub(crate) struct Simulated {
    kind: Kind,
    rules: Rules,
    seed: AtomicU64,
}

impl Simulated {
    pub(crate) fn new(kind: Kind, rules: Rules) -> Arc<Self> {
        Arc::new(Self { kind, rules, seed: AtomicU64::new(1) })
    }
}

#[async_trait]
impl Harness for Simulated {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let options = Options { rules: self.rules, seed: self.seed.fetch_add(1, Ordering::Relaxed) };
        Ok(match self.kind {
            Kind::Transactional => {
                Box::new(Simulation(transactional::Database::new(identity, voter, options)))
            }
            Kind::Document => Box::new(Simulation(document::Database::new(identity, voter, options))),
        })
    }
}

struct Simulation<K: polylog_source_simulated::Kind>(polylog_source_simulated::Database<K>);

#[async_trait]
impl<K: polylog_source_simulated::Kind> Database for Simulation<K>
where
    polylog_source_simulated::Connection<K>: Source,
{
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        Ok(Arc::new(self.0.connect()))
    }

    async fn crash(&self) -> Result<(), Violation> {
        self.0.crash();
        Ok(())
    }

    async fn damage(&self, position: Position, damage: Damage) -> Result<bool, Violation> {
        let other = match damage {
            Damage::Remove => None,
            Damage::Replace { data, data_digest, digest } => Some((data.into(), data_digest, digest)),
        };
        self.0.damage(position, other);
        Ok(true)
    }

    fn fail_points(&self) -> FailPoints {
        self.0.fail_points()
    }
}
