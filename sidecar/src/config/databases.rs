//! How databases that keep sources are reached: addresses, credentials and certificates, with every reference resolved.

use std::{collections::BTreeMap, fmt, time::Duration};

use polylog_crds::{
    CaRef, CaRefKind,
    event_store::{Connection, Mysql, Postgres, Tls, TlsMode},
    manifests::{Manifests, ObjectKey},
    resolve::{ResolvedSource, ResolvedStore},
    validate::TargetEngine,
    values::{DataKey, NamespaceName, ObjectName, SourceName},
};
use polylog_source_mariadb::{self as mariadb, DatabaseName, MariadbConfig, TablePrefix, Tables};
use polylog_source_postgres::{Address, PostgresConfig, SchemaName, Secret, TlsUse};
use serde::{Deserialize, Serialize};

use super::{ConfigError, SourcePlacement, Target};
use crate::mounted::SourceFiles;

/// An engine that keeps a source in a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerEngine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

/// A database of a server that keeps a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredDatabase {
    /// What the server is.
    pub engine: ServerEngine,
    /// The schema of our tables; in MariaDB their database.
    pub schema: String,
    /// Text in front of the tables' names; only in MariaDB.
    pub table_prefix: String,
    /// Whether it may be created.
    pub create_schema: bool,
    /// How rows are read and written.
    pub connection: DatabaseConnection,
    /// How tables are created, if not through `connection`.
    pub provisioning: Option<DatabaseConnection>,
}

/// A connection with nothing left to look up. Never shown: it holds credentials.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseConnection {
    url: String,
    username: Option<String>,
    password: Option<String>,
    ca: Option<Vec<u8>>,
    client_certificate: Option<(Vec<u8>, String)>,
    tls: Option<TlsMode>,
    pool: Option<u32>,
    connect_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
}

impl fmt::Debug for DatabaseConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl DatabaseConnection {
    fn of_url(url: &str) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            ca: None,
            client_certificate: None,
            tls: None,
            pool: None,
            connect_timeout: None,
            request_timeout: None,
        }
    }

    /// A connection whose references are mounted as files.
    ///
    /// # Errors
    /// A file that is not there, or something that this version cannot do.
    pub(crate) fn mounted(connection: &Connection, files: &SourceFiles) -> Result<Self, String> {
        References::Mounted(files).connection(connection)
    }

    /// The same with at most so many connections.
    #[must_use]
    pub(crate) fn with_pool(self, most: Option<u32>) -> Self {
        Self { pool: most, ..self }
    }

    /// At most so many connections, where the manifest says so.
    pub(crate) fn pool(&self) -> Option<u32> {
        self.pool
    }

    /// What the engine takes.
    ///
    /// # Errors
    /// The address is none of PostgreSQL's, or lacks something.
    pub fn postgres(&self, schema: SchemaName) -> Result<PostgresConfig, ConfigError> {
        let mut address = Address::parse(&self.url).map_err(refused)?;
        address.username = self.username.clone();
        address.password = self.password.clone().map(Secret::new);
        address.ca = self.ca.clone();
        let certificate = self.client_certificate.clone();
        address.client_certificate = certificate.map(|(certificate, key)| (certificate, Secret::new(key)));
        address.tls = self.tls.map(tls_use);
        let mut config = PostgresConfig::new(address, schema);
        config.readers = self.readers().unwrap_or(config.readers);
        config.connect_timeout = self.connect_timeout.unwrap_or(config.connect_timeout);
        if let Some(request) = self.request_timeout {
            config.request_timeout = request;
            config.statement_timeout = config.statement_timeout.min(request);
            config.lock_timeout = config.lock_timeout.min(request);
        }
        Ok(config)
    }

    /// What the engine takes.
    ///
    /// # Errors
    /// The address is none of MariaDB's, or lacks something.
    pub fn mariadb(&self, tables: Tables) -> Result<MariadbConfig, ConfigError> {
        let mut address = mariadb::Address::parse(&self.url).map_err(refused)?;
        address.username = self.username.clone();
        address.password = self.password.clone().map(Secret::new);
        address.ca = self.ca.clone();
        let certificate = self.client_certificate.clone();
        address.client_certificate = certificate.map(|(certificate, key)| (certificate, Secret::new(key)));
        address.tls = self.tls.map(tls_use);
        let mut config = MariadbConfig::new(address, tables);
        config.readers = self.readers().unwrap_or(config.readers);
        config.connect_timeout = self.connect_timeout.unwrap_or(config.connect_timeout);
        if let Some(request) = self.request_timeout {
            config.request_timeout = request;
            config.statement_timeout = config.statement_timeout.min(request);
            config.lock_timeout = config.lock_timeout.min(request);
        }
        Ok(config)
    }

    /// The database that an address of MariaDB names.
    fn mysql_database(&self) -> Result<Option<String>, ConfigError> {
        Ok(mariadb::Address::parse(&self.url).map_err(refused)?.database())
    }

    /// Checks that an address of MariaDB names no other database than the declared one.
    ///
    /// # Errors
    /// It does, or it is no such address.
    pub(crate) fn check_mysql_database(&self, declared: &str) -> Result<(), ConfigError> {
        match self.mysql_database()? {
            Some(named) if named != declared => Err(ConfigError::Refused(format!(
                "the address names the database {named}, and mysql.database is {declared}: leave it out of the address"
            ))),
            _ => Ok(()),
        }
    }

    /// Connections that read, where the manifest says how many there are: one writes, one looks for others' commits.
    fn readers(&self) -> Option<usize> {
        let most = usize::try_from(self.pool?).unwrap_or(usize::MAX);
        Some(most.saturating_sub(2).max(1))
    }
}

fn tls_use(mode: TlsMode) -> TlsUse {
    match mode {
        TlsMode::Require => TlsUse::Require,
        TlsMode::Prefer => TlsUse::Prefer,
        TlsMode::Disable => TlsUse::Disable,
    }
}

fn refused(error: impl fmt::Display) -> ConfigError {
    ConfigError::Refused(error.to_string())
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
            Target::Address(TargetEngine::Postgres | TargetEngine::Mysql, _) | Target::Declared => {
                databases.insert(name.clone(), of_source(manifests, store, source, target)?);
            }
            Target::File(_) | Target::Address(..) => {}
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
    let connections = || [Some(&connection), provisioning.as_ref()].into_iter().flatten();
    let engine = match target {
        Target::Address(engine, _) => *engine,
        Target::Declared | Target::File(_) => source.engine.into(),
    };
    let (engine, schema, table_prefix, create_schema) = if engine == TargetEngine::Mysql {
        let database = database(store, source, target, &connection).map_err(placed)?;
        let prefix = source.mysql.as_ref().map(mysql_table_prefix).unwrap_or_default();
        let checked = mysql_tables(&database, prefix).map_err(placed)?;
        connections()
            .try_for_each(|connection| connection.mariadb(checked.clone()).map(drop))
            .map_err(placed)?;
        (ServerEngine::Mariadb, database, prefix.to_owned(), true)
    } else {
        let (schema, create_schema) = schema(store, source.postgres.as_ref());
        let checked = SchemaName::parse(&schema).map_err(refused)?;
        connections()
            .try_for_each(|connection| connection.postgres(checked.clone()).map(drop))
            .map_err(placed)?;
        (ServerEngine::Postgres, schema, String::new(), create_schema)
    };
    Ok(DeclaredDatabase { engine, schema, table_prefix, create_schema, connection, provisioning })
}

/// The database of MariaDB that the address names, else the manifest, else one by the store's name.
fn database(
    store: &ResolvedStore,
    source: &ResolvedSource,
    target: &Target,
    connection: &DatabaseConnection,
) -> Result<String, ConfigError> {
    let declared = source.mysql.as_ref().map(|mysql| mysql.database.as_str().to_owned());
    match (connection.mysql_database()?, declared) {
        (named, Some(declared)) if matches!(target, Target::Declared) => {
            connection.check_mysql_database(&declared)?;
            Ok(named.unwrap_or(declared))
        }
        (Some(named), _) => Ok(named),
        (None, Some(declared)) => Ok(declared),
        (None, None) => Ok(by_name(store)),
    }
}

/// The prefix that a manifest declares; empty without one.
pub(crate) fn mysql_table_prefix(mysql: &Mysql) -> &str {
    mysql.table_prefix.as_ref().map_or("", |prefix| prefix.as_str())
}

/// Tables of MariaDB.
///
/// # Errors
/// One of the names cannot be used.
pub(crate) fn mysql_tables(database: &str, prefix: &str) -> Result<Tables, ConfigError> {
    let database = DatabaseName::parse(database).map_err(refused)?;
    Ok(Tables { database, prefix: TablePrefix::parse(prefix).map_err(refused)? })
}

/// The schema that is declared, or one by the store's name where another engine is.
fn schema(store: &ResolvedStore, declared: Option<&Postgres>) -> (String, bool) {
    match declared {
        Some(postgres) => (postgres.schema.as_str().to_owned(), postgres.create_schema.unwrap_or(true)),
        None => (by_name(store), true),
    }
}

fn by_name(store: &ResolvedStore) -> String {
    let name = store.name.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("polylog_{name}")
}

fn declared(
    manifests: &Manifests,
    store: &ResolvedStore,
    source: &ResolvedSource,
) -> Result<(DatabaseConnection, Option<DatabaseConnection>), ConfigError> {
    let look = |connection: &Connection, field: &'static str| {
        let objects = References::Objects { manifests, namespace: &store.namespace };
        objects.connection(connection).map_err(|error| {
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

/// What the references of connections lead to.
enum References<'a> {
    /// The Secrets and ConfigMaps of a namespace.
    Objects { manifests: &'a Manifests, namespace: &'a NamespaceName },
    /// Files that are called like the keys' defaults, whatever the references say.
    Mounted(&'a SourceFiles),
}

impl References<'_> {
    fn connection(&self, connection: &Connection) -> Result<DatabaseConnection, String> {
        let url = match (&connection.url, &connection.secret_ref) {
            (Some(url), _) => url.as_str().to_owned(),
            (None, Some(secret)) => self.text(&secret.name, secret.key.as_ref(), "url")?,
            (None, None) => return Err("it has neither url nor secretRef".into()),
        };
        let mut found = DatabaseConnection::of_url(url.trim());
        if let Some(auth) = &connection.auth {
            if auth.api_key_key.is_some() {
                return Err("auth.apiKeyKey: this engine has no API keys; use a name and a password".into());
            }
            let name = &auth.secret_ref.name;
            found.username = Some(self.text(name, auth.username_key.as_ref(), "username")?);
            found.password = Some(self.text(name, auth.password_key.as_ref(), "password")?);
        }
        if let Some(tls) = &connection.tls {
            self.tls(tls, &mut found)?;
        }
        found.pool = connection.pool.as_ref().and_then(|pool| pool.max);
        let timeouts = connection.timeouts.as_ref();
        found.connect_timeout = timeouts.and_then(|timeouts| timeouts.connect).map(|it| it.as_std());
        found.request_timeout = timeouts.and_then(|timeouts| timeouts.request).map(|it| it.as_std());
        Ok(found)
    }

    fn tls(&self, tls: &Tls, found: &mut DatabaseConnection) -> Result<(), String> {
        if tls.server_name.as_ref().is_some_and(|name| !name.is_empty()) {
            return Err("tls.serverName is not in this version: use an address whose host the server's \
                        certificate names"
                .into());
        }
        found.tls = Some(tls.mode.unwrap_or(TlsMode::Require));
        found.ca = tls.ca_ref.as_ref().map(|reference| self.authority(reference)).transpose()?;
        if let Some(reference) = &tls.client_cert_ref {
            let certificate = self.text(&reference.name, None, "tls.crt")?;
            let key = self.text(&reference.name, None, "tls.key")?;
            found.client_certificate = Some((certificate.into_bytes(), key));
        }
        Ok(())
    }

    fn authority(&self, reference: &CaRef) -> Result<Vec<u8>, String> {
        let (manifests, namespace) = match self {
            References::Objects { manifests, namespace } => (manifests, namespace),
            References::Mounted(files) => return mounted(files, "ca.crt").map(<[u8]>::to_vec),
        };
        let key = reference.key.as_ref();
        if reference.kind == Some(CaRefKind::Secret) {
            return Ok(self.text(&reference.name, key, "ca.crt")?.into_bytes());
        }
        let wanted = key.map_or("ca.crt", DataKey::as_str);
        let found = manifests.config_maps.get(&object_key(namespace, &reference.name));
        let text = found.and_then(|map| map.data.iter().find(|(key, _)| key.as_str() == wanted));
        let (_, text) = text.ok_or_else(|| missing("ConfigMap", &reference.name, wanted))?;
        Ok(text.clone().into_bytes())
    }

    fn text(&self, name: &ObjectName, key: Option<&DataKey>, default: &str) -> Result<String, String> {
        let (manifests, namespace) = match self {
            References::Objects { manifests, namespace } => (manifests, namespace),
            References::Mounted(files) => {
                let bytes = mounted(files, default)?.to_vec();
                return String::from_utf8(bytes).map_err(|_| format!("the mounted {default} is no text"));
            }
        };
        let wanted = key.map_or(default, DataKey::as_str);
        let found = manifests.secrets.get(&object_key(namespace, name));
        let bytes = found.and_then(|secret| secret.data.iter().find(|(key, _)| key.as_str() == wanted));
        let (_, bytes) = bytes.ok_or_else(|| missing("Secret", name, wanted))?;
        String::from_utf8(bytes.clone()).map_err(|_| format!("Secret {name}: {wanted} is no text"))
    }
}

fn object_key(namespace: &NamespaceName, name: &ObjectName) -> ObjectKey {
    ObjectKey { namespace: namespace.clone(), name: name.clone() }
}

fn mounted<'a>(files: &'a SourceFiles, name: &str) -> Result<&'a [u8], String> {
    files.get(name).ok_or_else(|| format!("the file {name} is not mounted, or empty"))
}

fn missing(kind: &str, name: &ObjectName, key: &str) -> String {
    format!("the folder has no {kind} {name} with the key {key}; add it, or use --source NAME=URL")
}
