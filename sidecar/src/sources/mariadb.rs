use std::fmt;

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Check, Desired, Failure, LogId, Plan, RoleGrants};
use polylog_source_mariadb::{
    MariadbConfig, MariadbSource, Tables, connection_limit, preflight,
    provision::{self, Account, Actual, Place, Worker},
};
use polylog_source_servers::limits::ConnectionLimit;

use super::{OpenSource, Planned, Wanted, server::ServerPlace};
use crate::config::{ConfigError, DeclaredDatabase, mysql_tables};

/// A MariaDB database, and how it is reached.
#[derive(Debug, Clone)]
pub(super) struct MariadbPlace {
    /// How rows are read and written.
    data: MariadbConfig,
    /// How tables are created, if not through the same connection.
    provisioning: Option<MariadbConfig>,
    create_database: bool,
}

impl MariadbPlace {
    /// The place that was declared.
    pub(super) fn of(declared: &DeclaredDatabase, unsafe_durability: bool) -> Result<Self, ConfigError> {
        let tables = mysql_tables(&declared.schema, &declared.table_prefix)?;
        let allow = |config| MariadbConfig { allow_unsafe_durability: unsafe_durability, ..config };
        let data = declared.connection.mariadb(tables.clone()).map(allow)?;
        let provisioning = declared.provisioning.as_ref().map(|connection| connection.mariadb(tables));
        let provisioning = provisioning.transpose()?.map(allow);
        Ok(Self { data, provisioning, create_database: declared.create_schema })
    }

    /// Whether rows are written as another user than the one that creates tables, as far as the addresses tell.
    fn is_apart(&self) -> Result<bool, ConfigError> {
        let user = |config: &MariadbConfig| config.address.user().map_err(refused);
        Ok(user(self.provisioning())? != user(&self.data)?)
    }

    async fn plan_at(&self, place: &Place, wanted: Wanted, known: Option<LogId>) -> Result<Planned, Failure> {
        let actual = provision::inspect(self.provisioning(), place).await?;
        let (found, format) = match &actual {
            Actual::Ours(inventory) => (inventory.identity, inventory.format),
            Actual::Absent | Actual::Empty => (None, None),
        };
        let is_empty = matches!(actual, Actual::Absent | Actual::Empty);
        let identity = wanted.identity(known, found, is_empty)?;
        let Wanted { source, indexes, .. } = wanted;
        let plan = provision::plan(&Desired { identity, source, indexes }, place, &actual)?;
        Ok(Planned { identity, is_there: found.is_some(), format, plan })
    }

    fn provisioning(&self) -> &MariadbConfig {
        self.provisioning.as_ref().unwrap_or(&self.data)
    }

    /// The place, with the user that works there where it is another one: only the server knows which of its accounts a
    /// connection gets.
    async fn place(&self) -> Result<Place, Failure> {
        let worker = match &self.provisioning {
            None => None,
            Some(provisioning) => {
                let worker = Worker::of(self.data.clone()).await?;
                let is_another = worker.account != Account::of(provisioning).await?;
                is_another.then_some(worker)
            }
        };
        Ok(Place { tables: self.data.tables.clone(), create_database: self.create_database, worker })
    }
}

#[async_trait]
impl ServerPlace for MariadbPlace {
    fn grants(&self) -> Result<Vec<RoleGrants>, ConfigError> {
        let account = |config: &MariadbConfig| -> Result<Account, ConfigError> {
            Ok(Account { user: config.address.user().map_err(refused)?, host: "%".into() })
        };
        let provisioner = account(self.provisioning())?;
        let worker = self.is_apart()?.then(|| account(&self.data)).transpose()?;
        Ok(provision::role_grants(&self.data.tables, &provisioner, worker.as_ref()))
    }

    async fn check(&self, known: Option<LogId>) -> Vec<Check> {
        // an address that names no user was refused before
        let provisioning = self.provisioning.as_ref().filter(|_| self.is_apart().unwrap_or(true));
        preflight(&self.data, provisioning, known).await
    }

    async fn connection_limit(&self) -> Result<Option<ConnectionLimit>, Failure> {
        connection_limit(&self.data).await
    }

    async fn plan(&self, wanted: Wanted, known: Option<LogId>) -> Result<Planned, Failure> {
        self.plan_at(&self.place().await?, wanted, known).await
    }

    async fn apply(&self, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
        provision::apply(self.provisioning(), &self.place().await?, plan, approval).await
    }

    async fn wipe(&self, log: LogId) -> Result<Vec<&'static str>, Failure> {
        let (tables, create_database) = (self.data.tables.clone(), self.create_database);
        let place = Place { tables, create_database, worker: None };
        provision::wipe(self.provisioning(), &place, log).await
    }

    async fn open(&self) -> Result<OpenSource, Failure> {
        MariadbSource::open(self.data.clone()).await.map(OpenSource::new)
    }
}

fn refused(error: polylog_source_mariadb::ConfigError) -> ConfigError {
    ConfigError::Refused(error.to_string())
}

impl fmt::Display for MariadbPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tables { database, prefix } = &self.data.tables;
        write!(f, "{}, database {}", self.data.address, database.as_str())?;
        match prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, ", table prefix {prefix}"),
        }
    }
}
