use std::fmt;

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Check, Credential, Desired, Failure, LogId, Plan, RoleGrants};
use polylog_source_postgres::{
    PostgresConfig, PostgresSource, SchemaName, connection_limit, preflight,
    provision::{self, Actual, Place, RoleName},
};
use polylog_source_servers::limits::ConnectionLimit;

use super::{OpenSource, Planned, Wanted, server::ServerPlace};
use crate::config::{ConfigError, DeclaredDatabase};

/// A schema in a PostgreSQL database, and how it is reached.
#[derive(Debug, Clone)]
pub(super) struct PostgresPlace {
    /// How rows are read and written.
    data: PostgresConfig,
    /// How tables are created.
    provisioning: PostgresConfig,
    place: Place,
}

impl PostgresPlace {
    /// The place that was declared.
    pub(super) fn of(database: &DeclaredDatabase, unsafe_durability: bool) -> Result<Self, ConfigError> {
        let schema = SchemaName::parse(&database.schema).map_err(refused)?;
        let allow = |config| PostgresConfig { allow_unsafe_durability: unsafe_durability, ..config };
        let data = database.connection.postgres(schema.clone()).map(allow)?;
        let mut place = Place { schema: schema.clone(), create_schema: database.create_schema, role: None };
        let provisioning = match &database.provisioning {
            None => data.clone(),
            Some(connection) => {
                let config = connection.postgres(schema).map(allow)?;
                let role = data.address.role().map_err(refused)?;
                if role != config.address.role().map_err(refused)? {
                    place.role = Some(RoleName::parse(&role).map_err(refused)?);
                }
                config
            }
        };
        Ok(Self { data, provisioning, place })
    }
}

#[async_trait]
impl ServerPlace for PostgresPlace {
    fn grants(&self) -> Result<Vec<RoleGrants>, ConfigError> {
        let address = &self.provisioning.address;
        let database = address.database().map_err(refused)?;
        let role = address.role().and_then(|role| RoleName::parse(&role)).map_err(refused)?;
        Ok(provision::role_grants(&self.place, &database, &role))
    }

    async fn check(&self, known: Option<LogId>) -> Vec<Check> {
        let mut checks = preflight(&self.data, &self.place, Credential::Rows, known).await;
        if self.place.role.is_some() {
            checks.extend(preflight(&self.provisioning, &self.place, Credential::Provisioning, known).await);
        }
        checks
    }

    async fn connection_limit(&self) -> Result<Option<ConnectionLimit>, Failure> {
        connection_limit(&self.data).await
    }

    async fn apply(&self, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
        provision::apply(&self.provisioning, &self.place, plan, approval).await
    }

    async fn wipe(&self, log: LogId) -> Result<Vec<&'static str>, Failure> {
        provision::wipe(&self.provisioning, &self.place, log).await
    }

    async fn plan(&self, wanted: Wanted, known: Option<LogId>) -> Result<Planned, Failure> {
        let actual = provision::inspect(&self.provisioning, &self.place).await?;
        let (found, format) = match &actual {
            Actual::Ours(inventory) => (inventory.identity, inventory.format),
            Actual::Absent | Actual::Empty => (None, None),
        };
        let is_empty = matches!(actual, Actual::Absent | Actual::Empty);
        let identity = wanted.identity(known, found, is_empty)?;
        let Wanted { source, indexes, .. } = wanted;
        let plan = provision::plan(&Desired { identity, source, indexes }, &self.place, &actual)?;
        Ok(Planned { identity, is_there: found.is_some(), format, plan })
    }

    async fn open(&self) -> Result<OpenSource, Failure> {
        PostgresSource::open(self.data.clone()).await.map(OpenSource::new)
    }
}

fn refused(error: polylog_source_postgres::ConfigError) -> ConfigError {
    ConfigError::Refused(error.to_string())
}

impl fmt::Display for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, schema {}", self.data.address, self.place.schema.as_str())
    }
}
