use std::fmt;

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Check, Desired, Failure, LogId, Plan, RoleGrants};
use polylog_source_elasticsearch::{
    ElasticsearchConfig, ElasticsearchSource, preflight,
    provision::{self, Place},
};

use super::{OpenSource, Planned, Wanted, server::ServerPlace};
use crate::config::{ConfigError, DatabaseConnection, DeclaredDatabase};

/// Indices of a cluster, and how they are reached.
#[derive(Debug, Clone)]
pub(super) struct ElasticsearchPlace {
    /// How documents are read and written.
    data: ElasticsearchConfig,
    /// How indices are created, if not through the same connection.
    provisioning: Option<ElasticsearchConfig>,
    place: Place,
}

impl ElasticsearchPlace {
    /// The place that was declared.
    pub(super) fn of(declared: &DeclaredDatabase, unsafe_durability: bool) -> Result<Self, ConfigError> {
        let indices = declared.indices.as_ref();
        let indices = indices.ok_or_else(|| ConfigError::Refused("it says nothing of its indices".into()))?;
        let config = |connection: &DatabaseConnection| {
            let config = connection.elasticsearch(&declared.schema)?;
            Ok::<_, ConfigError>(ElasticsearchConfig {
                payload: indices.layout().payload,
                full_text: indices.full_text,
                require_copies: indices.require_copies,
                may_vote: indices.votes,
                allow_unsafe_durability: unsafe_durability,
                ..config
            })
        };
        let data = config(&declared.connection)?;
        let place =
            Place { indices: data.indices.clone(), layout: indices.layout(), flavor: indices.flavor() };
        let provisioning = declared.provisioning.as_ref().map(config).transpose()?;
        Ok(Self { data, provisioning, place })
    }

    fn provisioning(&self) -> &ElasticsearchConfig {
        self.provisioning.as_ref().unwrap_or(&self.data)
    }
}

#[async_trait]
impl ServerPlace for ElasticsearchPlace {
    fn grants(&self) -> Result<Vec<RoleGrants>, ConfigError> {
        Ok(provision::role_grants(&self.data, self.provisioning(), &self.place))
    }

    async fn check(&self, known: Option<LogId>) -> Vec<Check> {
        preflight(&self.data, self.provisioning.as_ref(), &self.place, known).await
    }

    async fn plan(&self, wanted: Wanted, known: Option<LogId>) -> Result<Planned, Failure> {
        let actual = provision::inspect(self.provisioning(), &self.place).await?;
        let found = actual.identity;
        let identity = wanted.identity(known, found, actual.indices.is_empty())?;
        let Wanted { source, indexes, .. } = wanted;
        let plan = provision::plan(&Desired { identity, source, indexes }, &self.place, &actual)?;
        Ok(Planned { identity, is_there: found.is_some(), format: actual.format, plan })
    }

    async fn apply(&self, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
        provision::apply(self.provisioning(), &self.place, plan, approval).await
    }

    async fn wipe(&self, log: LogId) -> Result<Vec<&'static str>, Failure> {
        provision::wipe(self.provisioning(), &self.place, log).await
    }

    async fn open(&self) -> Result<OpenSource, Failure> {
        ElasticsearchSource::open(self.data.clone()).await.map(OpenSource::new)
    }
}

impl fmt::Display for ElasticsearchPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, indices {}-*", self.data.address, self.data.indices.prefix())
    }
}
