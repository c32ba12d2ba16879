use std::fmt;

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Check, Desired, Failure, LogId, Plan, RoleGrants};
use polylog_source_mongodb::{MongodbConfig, MongodbSource, preflight, provision};

use super::{OpenSource, Planned, Wanted, server::ServerPlace};
use crate::config::{ConfigError, DeclaredDatabase};

/// Collections in a MongoDB database, and how they are reached.
#[derive(Debug, Clone)]
pub(super) struct MongodbPlace {
    /// How documents are read and written.
    data: MongodbConfig,
    /// How collections are created, if not through the same connection.
    provisioning: Option<MongodbConfig>,
}

impl MongodbPlace {
    /// The place that was declared.
    pub(super) fn of(declared: &DeclaredDatabase, unsafe_durability: bool) -> Result<Self, ConfigError> {
        let config = |connection: &crate::config::DatabaseConnection| {
            let config = connection.mongodb(&declared.schema, &declared.table_prefix)?;
            Ok::<_, ConfigError>(MongodbConfig { allow_unsafe_durability: unsafe_durability, ..config })
        };
        let data = config(&declared.connection)?;
        let provisioning = declared.provisioning.as_ref().map(config).transpose()?;
        Ok(Self { data, provisioning })
    }

    fn provisioning(&self) -> &MongodbConfig {
        self.provisioning.as_ref().unwrap_or(&self.data)
    }
}

#[async_trait]
impl ServerPlace for MongodbPlace {
    fn grants(&self) -> Result<Vec<RoleGrants>, ConfigError> {
        Ok(provision::role_grants(&self.data, self.provisioning()))
    }

    async fn check(&self, known: Option<LogId>) -> Vec<Check> {
        preflight(&self.data, self.provisioning.as_ref(), known).await
    }

    async fn plan(&self, wanted: Wanted, known: Option<LogId>) -> Result<Planned, Failure> {
        let actual = provision::inspect(self.provisioning()).await?;
        let found = actual.identity;
        let identity = wanted.identity(known, found, actual.collections.is_empty())?;
        let Wanted { source, indexes, .. } = wanted;
        let desired = Desired { identity, source, indexes };
        let plan = provision::plan(&desired, &self.data.prefix, &actual)?;
        Ok(Planned { identity, is_there: found.is_some(), format: actual.format, plan })
    }

    async fn apply(&self, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
        provision::apply(self.provisioning(), plan, approval).await
    }

    async fn wipe(&self, log: LogId) -> Result<Vec<&'static str>, Failure> {
        provision::wipe(self.provisioning(), log).await
    }

    async fn open(&self) -> Result<OpenSource, Failure> {
        MongodbSource::open(self.data.clone()).await.map(OpenSource::new)
    }
}

impl fmt::Display for MongodbPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, database {}", self.data.address, self.data.database)?;
        match self.data.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, ", collection prefix {prefix}"),
        }
    }
}
