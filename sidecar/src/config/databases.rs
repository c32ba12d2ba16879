//! Which database of a server keeps a source.

use std::{collections::BTreeMap, fmt};

use polylog_crds::{
    event_store::{Connection, Engine},
    manifests::Manifests,
    resolve::{ResolvedSource, ResolvedStore},
    values::SourceName,
};
use polylog_source_mariadb::{DatabaseName, TablePrefix, Tables};
use serde::{Deserialize, Serialize};

use super::{ConfigError, DatabaseConnection, DeclaredIndices, SourcePlacement, Target};
use crate::sources::ServerDatabase;

/// A database of a server that keeps a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredDatabase {
    /// What the server is.
    pub engine: Engine,
    /// The schema of our tables; in MariaDB their database, in Elasticsearch what the names of our indices begin with.
    pub schema: String,
    /// Text in front of the tables' names; not in PostgreSQL.
    pub table_prefix: String,
    /// Whether it may be created.
    pub create_schema: bool,
    /// How indices are set up; only in Elasticsearch.
    pub indices: Option<DeclaredIndices>,
    /// How rows are read and written.
    pub connection: DatabaseConnection,
    /// How tables are created, if not through `connection`.
    pub provisioning: Option<DatabaseConnection>,
}

impl DeclaredDatabase {
    /// The database that the manifest of a source names, through this connection.
    ///
    /// # Errors
    /// The address names another one.
    pub(crate) fn of_manifest(
        store: &ResolvedStore,
        source: &ResolvedSource,
        connection: DatabaseConnection,
    ) -> Result<Self, ConfigError> {
        let engine = source.engine;
        let Spot { schema, prefix, create } = Spot::of(store, source, engine);
        // an address of MongoDB names the database of its user
        let is_ours = engine != Engine::Mongodb;
        if let Some(named) = connection.database(engine)?.filter(|named| is_ours && *named != schema) {
            return Err(ConfigError::Refused(format!(
                "the address names the database {named}, and {}.database is {schema}: leave it out of the address",
                engine.field()
            )));
        }
        Ok(Self {
            engine,
            schema,
            table_prefix: prefix,
            create_schema: create,
            indices: indices(source, engine),
            connection,
            provisioning: None,
        })
    }
}

/// Where in its server a database is.
struct Spot {
    schema: String,
    prefix: String,
    create: bool,
}

impl Spot {
    /// What a source's manifest says for an engine, else one by the store's name.
    fn of(store: &ResolvedStore, source: &ResolvedSource, engine: Engine) -> Self {
        Self::declared(source, engine).unwrap_or_else(|| Self::by_name(store, engine))
    }

    /// What a source's manifest says for an engine; nothing where it declares another one.
    fn declared(source: &ResolvedSource, engine: Engine) -> Option<Self> {
        match engine {
            Engine::Postgres => source.postgres.as_ref().map(|postgres| Self {
                schema: postgres.schema.as_str().to_owned(),
                prefix: String::new(),
                create: postgres.create_schema.unwrap_or(true),
            }),
            Engine::Mysql => source.mysql.as_ref().map(|mysql| Self {
                schema: mysql.database.as_str().to_owned(),
                prefix: mysql.table_prefix.as_ref().map_or("", |prefix| prefix.as_str()).to_owned(),
                create: true,
            }),
            Engine::Mongodb => source.mongodb.as_ref().map(|mongodb| Self {
                schema: mongodb.database.as_str().to_owned(),
                prefix: mongodb.collection_prefix.as_ref().map_or("", |prefix| prefix.as_str()).to_owned(),
                create: true,
            }),
            Engine::Elasticsearch => {
                let name = source.elasticsearch.as_ref()?.index.as_ref()?.name.as_ref()?;
                Some(Self { schema: name.as_str().to_owned(), prefix: String::new(), create: true })
            }
        }
    }

    /// One by the store's name: where the manifest declares another engine, or no name.
    fn by_name(store: &ResolvedStore, engine: Engine) -> Self {
        let schema = match engine {
            Engine::Elasticsearch => format!("{}-{}", store.namespace, store.name),
            Engine::Postgres | Engine::Mysql | Engine::Mongodb => {
                let name = store.name.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                format!("polylog_{name}")
            }
        };
        Self { schema, prefix: String::new(), create: true }
    }
}

fn indices(source: &ResolvedSource, engine: Engine) -> Option<DeclaredIndices> {
    (engine == Engine::Elasticsearch).then(|| DeclaredIndices::of(source))
}

/// The databases of the sources that `placements` put in one.
///
/// # Errors
/// A Secret or key that is not there, an address that cannot be used.
pub(super) fn resolve(
    manifests: &Manifests,
    stores: &[ResolvedStore],
    placements: &[SourcePlacement],
) -> Result<BTreeMap<SourceName, DeclaredDatabase>, ConfigError> {
    let mut databases = BTreeMap::new();
    for SourcePlacement { name, target } in placements {
        let sources = stores.iter().flat_map(|store| store.sources.iter().map(move |source| (store, source)));
        let Some((store, source)) = sources.into_iter().find(|(_, source)| source.name == *name) else {
            continue;
        };
        match target {
            Target::Address(..) | Target::Declared => {
                databases.insert(name.clone(), of_source(manifests, store, source, target)?);
            }
            Target::File(_) => {}
        }
    }
    Ok(databases)
}

/// The database of a server that a source declares.
///
/// # Errors
/// A Secret or key that is not among the manifests, an address that cannot be used.
pub fn declared_database(
    manifests: &Manifests,
    store: &ResolvedStore,
    source: &ResolvedSource,
) -> Result<DeclaredDatabase, ConfigError> {
    of_source(manifests, store, source, &Target::Declared)
}

/// The database of a source in a server.
///
/// # Errors
/// As [`resolve`].
pub(super) fn of_source(
    manifests: &Manifests,
    store: &ResolvedStore,
    source: &ResolvedSource,
    target: &Target,
) -> Result<DeclaredDatabase, ConfigError> {
    let (connection, provisioning) = match target {
        Target::Address(_, url) => (DatabaseConnection::of_url(url.reveal()), None),
        Target::Declared | Target::File(_) => declared(manifests, store, source)?,
    };
    let placed = |error: ConfigError| ConfigError::Refused(format!("source {}: {error}", source.name));
    let database = match target {
        Target::Address(engine, _) => {
            let engine = engine
                .of_server()
                .ok_or_else(|| refused(format!("{engine} is no server")))
                .map_err(placed)?;
            let Spot { schema, prefix, create } = Spot::of(store, source, engine);
            let named = connection.database(engine).map_err(placed)?;
            DeclaredDatabase {
                engine,
                schema: named.unwrap_or(schema),
                table_prefix: prefix,
                create_schema: create,
                indices: indices(source, engine),
                connection,
                provisioning,
            }
        }
        Target::Declared | Target::File(_) => DeclaredDatabase {
            provisioning,
            ..DeclaredDatabase::of_manifest(store, source, connection).map_err(placed)?
        },
    };
    // whatever its engine has to say of the names and addresses
    ServerDatabase::of(&database, false).map_err(placed)?;
    Ok(database)
}

/// Tables of MariaDB.
///
/// # Errors
/// One of the names cannot be used.
pub(crate) fn mysql_tables(database: &str, prefix: &str) -> Result<Tables, ConfigError> {
    let database = DatabaseName::parse(database).map_err(refused)?;
    Ok(Tables { database, prefix: TablePrefix::parse(prefix).map_err(refused)? })
}

fn declared(
    manifests: &Manifests,
    store: &ResolvedStore,
    source: &ResolvedSource,
) -> Result<(DatabaseConnection, Option<DatabaseConnection>), ConfigError> {
    let look = |connection: &Connection, field: &'static str| {
        DatabaseConnection::referenced(connection, manifests, &store.namespace).map_err(|error| {
            let (namespace, name, source) = (&store.namespace, &store.name, &source.name);
            ConfigError::Refused(format!(
                "EventStore {namespace}/{name}: {field} of source {source}: {error}"
            ))
        })
    };
    let provisioning = source.provisioning_connection.as_ref();
    Ok((
        look(&source.connection, "connection")?,
        provisioning.map(|connection| look(connection, "provisioningConnection")).transpose()?,
    ))
}

fn refused(error: impl fmt::Display) -> ConfigError {
    ConfigError::Refused(error.to_string())
}
