//! How `polylog dev` opens a store: in one database, or in several.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use polylog_api::Problem;
use polylog_crds::{
    event_store::SourceState,
    resolve::{ResolvedSource, ResolvedStore},
};
use polylog_log::{Approval, Failure, Identity, LogId, Plan, Source, SourceName, StepClass};
use polylog_replication::{OpenError, Replica, StoreOptions, Unopened};

use super::DevError;
use crate::{
    config::{
        Declared, DevArgs, desired_config, followers, opens_minority, policy_document, primary_wish,
        read_defaults, verification,
    },
    hosted::{DeclaredSource, Hosted, Waiting},
    metrics::Metrics,
    pipeline::check_routes,
    policy::Access,
    server::Served,
    sources::{
        self, Database, LastSeen, LateSource, OpenSource, StoreFolder, StorePlace, begun_with,
        provision_several,
    },
};

/// Why a source that the manifest declares holds no log.
const NOT_KEPT: &str = "this version keeps fewer copies of a log";

/// One store, and what the banner says of it.
pub(in crate::roles) struct Begun {
    pub(in crate::roles) namespace: String,
    pub(in crate::roles) name: String,
    /// As the manifest declares them.
    pub(in crate::roles) declared: Vec<DeclaredSource>,
    pub(in crate::roles) sources: Vec<OpenedSource>,
    pub(super) folder: StoreFolder,
    pub(super) opening: Opening,
}

/// Its log, on the way to being open.
pub(super) struct Opening {
    unopened: Unopened,
    store: ResolvedStore,
    sources: Vec<DeclaredSource>,
    places: Vec<StorePlace>,
}

impl Opening {
    /// Tries for as long as an election may take. After [`OpenError::Leaderless`] it may be tried again.
    pub(super) async fn open(&mut self) -> Result<Hosted, DevError> {
        let Self { unopened, store, sources, places } = self;
        let name = store.name.to_string();
        let failed = |error| DevError::Open { store: name.clone(), error };
        let opened = unopened.open().await.map_err(failed)?;
        let hosted = Hosted::new(store.namespace.to_string(), name.clone(), opened, sources.clone());
        let hosted = hosted.map_err(|error| DevError::Policy { store: name, error })?;
        Ok(hosted
            .with_reads(read_defaults(store))
            .with_primary(primary_wish(store))
            .with_alerts(store.alerts)
            .with_places(places.clone()))
    }

    /// The store, as long as this problem keeps it from being open.
    pub(super) fn waiting(&self, problem: Problem) -> Served {
        let policy = policy_document(&self.store);
        Served::Waiting(Arc::new(Waiting {
            name: self.store.name.to_string(),
            sources: self.sources.clone(),
            access: Some(Arc::new(Access::new(&policy.namespace, policy.access.as_deref()))),
            problem,
            leadership: self.unopened.leadership(),
        }))
    }
}

/// A source of it.
pub(in crate::roles) struct OpenedSource {
    pub(in crate::roles) name: SourceName,
    pub(in crate::roles) database: Database,
    /// Steps that wait for approval.
    pub(in crate::roles) waiting: Plan,
    pub(super) connection: Connection,
    identity: Identity,
}

/// What a source is used through.
pub(super) enum Connection {
    /// It holds the log alone.
    Alone(OpenSource),
    /// It is one of several, and need not answer.
    OneOfSeveral(Arc<LateSource>),
}

impl Connection {
    fn shared(&self) -> Arc<dyn Source> {
        match self {
            Connection::Alone(source) => source.shared(),
            Connection::OneOfSeveral(source) => source.clone(),
        }
    }

    async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        match self {
            Connection::Alone(source) => source.unsafe_setting().await,
            Connection::OneOfSeveral(source) => Ok(source.unsafe_setting().await),
        }
    }

    /// Ends the source: what was handed to it is done first.
    pub(super) async fn close(&self) {
        match self {
            Connection::Alone(source) => source.close().await,
            Connection::OneOfSeveral(source) => source.close().await,
        }
    }
}

/// What all stores are opened with.
pub(super) struct Start<'a> {
    pub(super) args: &'a DevArgs,
    pub(super) data: &'a Path,
    pub(super) declared: &'a Declared,
    pub(super) metrics: &'a Metrics,
}

impl Start<'_> {
    /// Provisions a store's sources, and begins to open it. `logs` are those of the stores before it, by whose name.
    pub(super) async fn begin(
        &self,
        store: &ResolvedStore,
        logs: &mut BTreeMap<LogId, String>,
    ) -> Result<Begun, DevError> {
        let name = store.name.to_string();
        let Self { args, data, declared, metrics } = self;
        let places =
            StorePlace::of_voters(store, data, &args.sources, &declared.databases, args.unsafe_durability)?;
        let folder = places.first().map(|place| place.folder.clone()).unwrap_or_default();
        let folder = StoreFolder::claim(folder)?;
        let sources = self.provisioned(&folder, places.clone()).await?;
        // before anything is written into it
        if let Some(first) = sources.first()
            && let Some(other) = logs.insert(first.identity.log, name.clone())
        {
            return Err(DevError::SameLog(other, name));
        }
        let failed = |error| DevError::Open { store: name.clone(), error };
        last_seen(&folder, &sources).await.map_err(|error| failed(OpenError::Source(error)))?;
        let mut remarks = Vec::new();
        for source in &sources {
            let setting = source.connection.unsafe_setting().await;
            let setting = setting.map_err(|error| failed(OpenError::Source(error)))?;
            remarks.extend(setting.map(|setting| (source.name.clone(), remark(&name, source, &setting))));
        }
        let config = desired_config(store);
        check_routes(&config.routes)
            .map_err(|reason| failed(OpenError::NotSupported { field: "routes", reason }))?;
        let policy = policy_document(store);
        let mut replicas = sources.iter().map(|source| Replica {
            name: source.name.clone(),
            source: metrics.observed(&name, &source.name, source.connection.shared()),
            identity: source.identity,
        });
        // the places have at least one
        let Some(first) = replicas.next() else { return Err(failed(OpenError::NoPrimary)) };
        let options = StoreOptions {
            config,
            policy: Some(serde_json::to_vec(&policy).expect("a policy has only string keys").into()),
            limits: policy.limits,
            ack_timeout: store.strategy.ack_timeout.as_std(),
            failover_after: store.strategy.failover.after.as_std(),
            opens_minority: opens_minority(&store.strategy),
            primary: primary_wish(store),
            learners: followers(store),
            verification: Some(verification(store)),
            others: replicas.collect(),
            ..StoreOptions::new(&name, first.name, first.source, first.identity)
        };
        let unopened = Unopened::begin(options).await.map_err(failed)?;
        let declared = store.sources.iter().map(|source| declared_source(source, &sources, &remarks));
        let declared: Vec<_> = declared.collect();
        let opening = Opening { unopened, store: store.clone(), sources: declared.clone(), places };
        Ok(Begun { namespace: store.namespace.to_string(), name, declared, sources, folder, opening })
    }

    /// Provisions the sources that hold the log, or are to hold it.
    async fn provisioned(
        &self,
        folder: &StoreFolder,
        mut places: Vec<StorePlace>,
    ) -> Result<Vec<OpenedSource>, DevError> {
        let approval = Approval::up_to(StepClass::Slow);
        let approval = match &self.args.approve {
            Some(hash) => approval.and_plan(hash),
            None => approval,
        };
        let begun = begun_with(folder)?.unwrap_or_default();
        // one of several that is left alone is opened as it was, by the identity that the folder remembers
        if places.len() == 1 && begun.is_empty() {
            let place = places.swap_remove(0);
            let provisioned = sources::provision(folder, &place, approval).await?;
            let source = OpenedSource {
                name: place.source,
                database: place.database,
                waiting: provisioned.waiting,
                identity: provisioned.identity,
                connection: Connection::Alone(provisioned.source),
            };
            return Ok(vec![source]);
        }
        let several = provision_several(folder, places, &approval).await?;
        let opened = several.into_iter().map(|one| OpenedSource {
            name: one.place.source,
            database: one.place.database,
            waiting: one.waiting,
            identity: one.identity,
            connection: Connection::OneOfSeveral(one.source),
        });
        Ok(opened.collect())
    }
}

/// Checks that the log did not go back since it was last seen; one source that holds all of it is enough.
async fn last_seen(folder: &StoreFolder, sources: &[OpenedSource]) -> Result<(), Failure> {
    let mut failed = Ok(());
    for source in sources {
        match LastSeen::of(folder).check(&*source.connection.shared()).await {
            Ok(()) => return Ok(()),
            // what one says that answers is more than that another does not
            Err(_) if matches!(failed, Err(Failure::WrongStore(_))) => {}
            Err(failure) => failed = Err(failure),
        }
    }
    failed
}

fn remark(store: &str, source: &OpenedSource, setting: &str) -> String {
    tracing::warn!(
        event = "unsafe_durability", store,
        source = %source.name,
        setting,
        "unsafe durability: what is acknowledged may be lost"
    );
    format!("unsafe durability: {setting}, and what is acknowledged may be lost")
}

fn declared_source(
    source: &ResolvedSource,
    opened: &[OpenedSource],
    remarks: &[(SourceName, String)],
) -> DeclaredSource {
    let name = SourceName::recorded(source.name.as_str());
    let kept = opened.iter().find(|one| one.name == name);
    DeclaredSource {
        engine: kept.map_or(source.engine.field(), |kept| kept.database.engine()).into(),
        role: format!("{:?}", source.role),
        unprovisioned: kept.is_none().then(|| NOT_KEPT.into()),
        remark: remarks.iter().find(|(of, _)| *of == name).map(|(_, remark)| remark.clone()),
        is_in_maintenance: source.state == SourceState::Maintenance,
        name,
    }
}
