use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use polylog_source_postgres::Secret;

use super::mapping::{Mapping, MappingError};
use crate::exit::Failure;

/// Where events come from that are not lines of a file.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// Import events from another database; FILE is then the name of the index, collection or table
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(crate) from: Option<Engine>,
    /// With --from: the database's address, like postgres://user@host:5432/database. An argument is seen by every user of
    /// the machine: give an address with a password in POLYLOG_FROM_URL, or the password in a file
    #[arg(long, env = "POLYLOG_FROM_URL", hide_env_values = true, value_name = "URL")]
    from_url: Option<String>,
    /// With --from: file with the password of the address's user
    #[arg(long, env = "POLYLOG_FROM_PASSWORD_FILE", value_name = "FILE")]
    from_password_file: Option<PathBuf>,
    /// With --from elasticsearch: file with an API key, encoded as the server gave it
    #[arg(long, env = "POLYLOG_FROM_API_KEY_FILE", value_name = "FILE")]
    from_api_key_file: Option<PathBuf>,
    /// With --from: certificates in PEM of who vouches for the database
    #[arg(long, env = "POLYLOG_FROM_CA", value_name = "FILE")]
    from_ca: Option<PathBuf>,
    /// With --from: folder for what was read; the same command goes on from there
    #[arg(long, requires = "from", value_name = "FOLDER", default_value = "./polylog-import")]
    pub(crate) work: PathBuf,
    /// With --from: file (YAML) that says which field holds what
    #[arg(long, requires = "from", value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// With --from: the field that holds a part of an event, like stream=account_id; type==Paid is a constant. May be
    /// repeated
    #[arg(long, requires = "from", value_parser = pair, value_name = "PART=FIELD")]
    map: Vec<(String, String)>,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Elasticsearch or OpenSearch.
    Elasticsearch,
    /// A server of MongoDB's protocol.
    Mongodb,
    /// PostgreSQL.
    Postgres,
}

/// How a database is reached.
pub(crate) struct Access {
    /// May hold a password: never shown.
    pub(crate) url: String,
    pub(crate) password: Option<Secret>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) ca: Option<Vec<u8>>,
}

impl FromArgs {
    pub(crate) fn access(&self) -> Result<Access, Failure> {
        let Some(url) = self.from_url.clone() else {
            return Err(Failure::Usage(
                "say where the database is, with --from-url or POLYLOG_FROM_URL".into(),
            ));
        };
        let secret = |path: &Option<PathBuf>| match path {
            None => Ok(None),
            Some(path) => {
                let text = String::from_utf8(file(path)?);
                let text = text.map_err(|_| Failure::Usage(format!("{} is no text", path.display())))?;
                Ok::<_, Failure>(Some(Secret::new(text.trim_end_matches(['\n', '\r']))))
            }
        };
        Ok(Access {
            url,
            password: secret(&self.from_password_file)?,
            api_key: secret(&self.from_api_key_file)?,
            ca: self.from_ca.as_deref().map(file).transpose()?,
        })
    }

    /// What was said of the fields.
    pub(crate) fn mapping(&self) -> Result<Mapping, MappingError> {
        Mapping::read(self.mapping.as_deref(), &self.map)
    }
}

impl Access {
    /// The address, without credentials.
    pub(crate) fn shown(&self, engine: Engine) -> Result<String, Failure> {
        let url = &self.url;
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        Ok(match engine {
            Engine::Postgres => {
                polylog_source_postgres::Address::parse(url).map_err(|error| usage(&error))?.to_string()
            }
            Engine::Mongodb => {
                let address = polylog_source_mongodb::Address::parse(url).map_err(|error| usage(&error))?;
                format!("{address}/{}", address.database().unwrap_or_default())
            }
            Engine::Elasticsearch => {
                polylog_source_elasticsearch::Address::parse(url).map_err(|error| usage(&error))?.to_string()
            }
        })
    }

    pub(crate) fn check_no_api_key(&self) -> Result<(), Failure> {
        match self.api_key {
            Some(_) => Err(Failure::Usage("--from-api-key-file is for Elasticsearch only".into())),
            None => Ok(()),
        }
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (part, field) = text.split_once('=').ok_or("it must be like stream=account_id")?;
    Ok((part.to_owned(), field.to_owned()))
}
