//! Databases of servers, of whichever engine: an engine is wired by implementing [`ServerPlace`] and by one arm in
//! [`ServerDatabase::of`].

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use polylog_crds::{event_store::Engine, validate::TargetEngine};
use polylog_log::{Applied, Approval, Check, Failure, Identity, LogId, Plan, RoleGrants};
use polylog_source_servers::limits::ConnectionLimit;

use super::{ElasticsearchPlace, MariadbPlace, MongodbPlace, OpenSource, Planned, PostgresPlace, Wanted};
use crate::config::{ConfigError, DeclaredDatabase};

/// What an engine does with a database of a server.
#[async_trait]
pub(super) trait ServerPlace: fmt::Debug + fmt::Display + Send + Sync {
    /// What its users must be granted.
    fn grants(&self) -> Result<Vec<RoleGrants>, ConfigError>;

    /// Looks at the database through each of its connections; writes nothing.
    async fn check(&self, known: Option<LogId>) -> Vec<Check>;

    /// Connects as sidecars do, and says how many such connections there may be, where the engine tells.
    async fn connection_limit(&self) -> Result<Option<ConnectionLimit>, Failure> {
        Ok(None)
    }

    /// What the database is to be, and the steps to there.
    async fn plan(&self, wanted: Wanted, known: Option<LogId>) -> Result<Planned, Failure>;

    /// Carries out the approved steps of a plan that was made before.
    async fn apply(&self, plan: &Plan, approval: &Approval) -> Result<Applied, Failure>;

    /// Drops what belongs to a log; says what. Who worked there does not matter any more.
    async fn wipe(&self, log: LogId) -> Result<Vec<&'static str>, Failure>;

    /// Opens it, with the checks of its server, tables and rights; writes nothing.
    async fn open(&self) -> Result<OpenSource, Failure>;
}

/// A database of a server that keeps a source, and how it is reached.
#[derive(Debug, Clone)]
pub struct ServerDatabase {
    engine: Engine,
    place: Arc<dyn ServerPlace>,
}

impl ServerDatabase {
    /// The place that was declared. `unsafe_durability`: servers that forget what they acknowledged are used too.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub(crate) fn of(declared: &DeclaredDatabase, unsafe_durability: bool) -> Result<Self, ConfigError> {
        let place: Arc<dyn ServerPlace> = match declared.engine {
            Engine::Postgres => Arc::new(PostgresPlace::of(declared, unsafe_durability)?),
            Engine::Mysql => Arc::new(MariadbPlace::of(declared, unsafe_durability)?),
            Engine::Mongodb => Arc::new(MongodbPlace::of(declared, unsafe_durability)?),
            Engine::Elasticsearch => Arc::new(ElasticsearchPlace::of(declared, unsafe_durability)?),
        };
        Ok(Self { engine: declared.engine, place })
    }

    /// What its engine does with it.
    pub(super) fn place(&self) -> &dyn ServerPlace {
        &*self.place
    }

    /// The engine, as answers name it.
    pub(super) fn engine(&self) -> &'static str {
        self.engine.field()
    }

    /// The engine, as people name it.
    pub(super) fn product(&self) -> String {
        TargetEngine::from(self.engine).to_string()
    }

    /// Provisions the database as approved.
    pub(super) async fn prepare(
        &self,
        wanted: Wanted,
        approval: &Approval,
        known: Option<LogId>,
    ) -> Result<(Identity, Plan), Failure> {
        match self.try_prepare(wanted.clone(), approval, known).await {
            // another process may have provisioned it in between: a new plan takes up what it left
            Err(Failure::Unreachable(_)) => self.try_prepare(wanted, approval, known).await,
            prepared => prepared,
        }
    }

    async fn try_prepare(
        &self,
        wanted: Wanted,
        approval: &Approval,
        known: Option<LogId>,
    ) -> Result<(Identity, Plan), Failure> {
        let Planned { identity, plan, .. } = self.place.plan(wanted, known).await?;
        let applied = self.place.apply(&plan, approval).await?;
        Ok((identity, Plan { steps: applied.waiting }))
    }
}

/// Without credentials.
impl fmt::Display for ServerDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)
    }
}
