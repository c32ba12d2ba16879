//! How a database is reached: its address, credentials and certificates, with every reference resolved.

use std::{fmt, time::Duration};

use polylog_crds::{
    CaRef, CaRefKind,
    event_store::{Connection, Engine, Tls, TlsMode},
    manifests::{Manifests, ObjectKey},
    values::{DataKey, NamespaceName, ObjectName},
};
use polylog_source_elasticsearch::{self as elasticsearch, ElasticsearchConfig};
use polylog_source_mariadb::{self as mariadb, MariadbConfig, Tables};
use polylog_source_mongodb::{self as mongodb, MongodbConfig};
use polylog_source_postgres::{Address, PostgresConfig, SchemaName, Secret, TlsUse};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::mounted::SourceFiles;

/// Connections of a sidecar to a source, where its manifest says nothing.
pub const SIDECAR_POOL: u32 = 2;

/// Connections of a gateway's pod to a source, where its manifest says nothing.
pub const GATEWAY_POOL: u32 = 10;

/// Connections that a process with this `pool` has at most: one writes, one looks for others' commits, the rest reads.
pub fn most_connections(pool: u32) -> u32 {
    pool.max(3)
}

/// The key of a log in indices of its own.
const LOG: &str = "main";

/// A connection with nothing left to look up. Never shown: it holds credentials.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseConnection {
    url: String,
    username: Option<String>,
    password: Option<String>,
    api_key: Option<String>,
    ca: Option<Vec<u8>>,
    client_certificate: Option<(Vec<u8>, String)>,
    tls: Option<TlsMode>,
    server_name: Option<String>,
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
    pub(super) fn of_url(url: &str) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            api_key: None,
            ca: None,
            client_certificate: None,
            tls: None,
            server_name: None,
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
        self.check_no_api_key()?;
        let mut address = Address::parse(&self.url).map_err(refused)?;
        address.username = self.username.clone();
        address.password = self.password.clone().map(Secret::new);
        address.ca = self.ca.clone();
        let certificate = self.client_certificate.clone();
        address.client_certificate = certificate.map(|(certificate, key)| (certificate, Secret::new(key)));
        address.tls = self.tls.map(tls_use);
        address.server_name = self.server_name.clone();
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
        self.check_no_api_key()?;
        let mut address = mariadb::Address::parse(&self.url).map_err(refused)?;
        address.username = self.username.clone();
        address.password = self.password.clone().map(Secret::new);
        address.ca = self.ca.clone();
        let certificate = self.client_certificate.clone();
        address.client_certificate = certificate.map(|(certificate, key)| (certificate, Secret::new(key)));
        address.tls = self.tls.map(tls_use);
        address.server_name = self.server_name.clone();
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

    /// What the engine takes.
    ///
    /// # Errors
    /// The address is none of MongoDB's, or the names are not.
    pub fn mongodb(&self, database: &str, prefix: &str) -> Result<MongodbConfig, ConfigError> {
        self.check_no_api_key()?;
        self.check_no_server_name()?;
        let mut address = mongodb::Address::parse(&self.url).map_err(refused)?;
        address.username = self.username.clone();
        address.password = self.password.clone().map(Secret::new);
        address.ca = self.ca.clone();
        let certificate = self.client_certificate.clone();
        address.client_certificate = certificate.map(|(certificate, key)| (certificate, Secret::new(key)));
        address.tls = self.tls.map(tls_use);
        address.check().map_err(refused)?;
        let database = mongodb::DatabaseName::parse(database).map_err(refused)?;
        let mut config = MongodbConfig::new(address, database);
        config.prefix = mongodb::CollectionPrefix::parse(prefix).map_err(refused)?;
        config.readers = self.readers().unwrap_or(config.readers);
        config.connect_timeout = self.connect_timeout.unwrap_or(config.connect_timeout);
        config.request_timeout = self.request_timeout.unwrap_or(config.request_timeout);
        Ok(config)
    }

    /// What the engine takes.
    ///
    /// # Errors
    /// The address is none of Elasticsearch's, or the name is none of indices.
    pub fn elasticsearch(&self, prefix: &str) -> Result<ElasticsearchConfig, ConfigError> {
        self.check_no_server_name()?;
        let mut address = elasticsearch::Address::parse(&self.url).map_err(refused)?;
        if let Some(key) = &self.api_key {
            address.credentials = Some(elasticsearch::Credentials::ApiKey(Secret::new(key.trim())));
        } else if let Some(username) = self.username.clone() {
            let password = Secret::new(self.password.clone().unwrap_or_default());
            address.credentials = Some(elasticsearch::Credentials::Basic { username, password });
        }
        address.ca = self.ca.clone();
        let certificate = self.client_certificate.clone();
        address.client_certificate = certificate.map(|(certificate, key)| (certificate, Secret::new(key)));
        address.check(self.tls.map(tls_use)).map_err(refused)?;
        let indices = elasticsearch::Indices::new(prefix, LOG).map_err(refused)?;
        let mut config = ElasticsearchConfig::new(address, indices);
        config.readers = self.readers().unwrap_or(config.readers);
        config.request_timeout = self.request_timeout.unwrap_or(config.request_timeout);
        Ok(config)
    }

    fn check_no_api_key(&self) -> Result<(), ConfigError> {
        match self.api_key {
            Some(_) => Err(refused("auth.apiKeyKey: this engine has no API keys; use a name and a password")),
            None => Ok(()),
        }
    }

    fn check_no_server_name(&self) -> Result<(), ConfigError> {
        match self.server_name {
            Some(_) => Err(refused(
                "tls.serverName: this engine's driver checks certificates for the host of the address; use an address \
                 whose host the server's certificate names",
            )),
            None => Ok(()),
        }
    }

    /// The database that the address names, where an engine's addresses do.
    ///
    /// # Errors
    /// It is no address of that engine.
    pub(super) fn database(&self, engine: Engine) -> Result<Option<String>, ConfigError> {
        match engine {
            Engine::Mysql => Ok(mariadb::Address::parse(&self.url).map_err(refused)?.database()),
            Engine::Mongodb => Ok(mongodb::Address::parse(&self.url).map_err(refused)?.database()),
            Engine::Postgres | Engine::Elasticsearch => Ok(None),
        }
    }

    /// Looks the references of a connection up among manifests.
    ///
    /// # Errors
    /// A Secret or key that is not there, or something that this version cannot do.
    pub(super) fn referenced(
        connection: &Connection,
        manifests: &Manifests,
        namespace: &NamespaceName,
    ) -> Result<Self, String> {
        References::Objects { manifests, namespace }.connection(connection)
    }

    /// Connections that read, where the manifest says how many there are.
    fn readers(&self) -> Option<usize> {
        Some(usize::try_from(most_connections(self.pool?) - 2).unwrap_or(usize::MAX))
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
            let name = &auth.secret_ref.name;
            if let Some(key) = &auth.api_key_key {
                found.api_key = Some(self.text(name, Some(key), "api-key")?);
            } else {
                found.username = Some(self.text(name, auth.username_key.as_ref(), "username")?);
                found.password = Some(self.text(name, auth.password_key.as_ref(), "password")?);
            }
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
        found.server_name = tls.server_name.clone().filter(|name| !name.is_empty());
        found.tls = Some(tls.mode.unwrap_or(TlsMode::Require));
        if found.server_name.is_some() && found.tls != Some(TlsMode::Require) {
            return Err("tls.serverName: no name is checked unless tls.mode is Require".into());
        }
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
    format!("there is no {kind} {name} with the key {key}: create it, or correct the reference")
}
