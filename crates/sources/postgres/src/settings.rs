//! What a server must be before it is used.

use polylog_log::{Failure, RefusedReason};

use sqlx::{PgConnection, Row};

use crate::{PostgresConfig, error::EngineError};

/// What the server says of itself and of our session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) version_number: i32,
    pub(crate) version: String,
    pub(crate) encoding: String,
    pub(crate) fsync: String,
    pub(crate) synchronous_commit: String,
    pub(crate) is_standby: bool,
    pub(crate) read_only: String,
    pub(crate) full_page_writes: String,
}

impl Settings {
    /// Everything without which a database must not be used.
    pub(crate) fn check(&self, config: &PostgresConfig) -> Result<(), Failure> {
        self.check_version(config.oldest_version)?;
        self.check_encoding()?;
        self.check_writable()?;
        if config.allow_unsafe_durability { Ok(()) } else { self.check_durability() }
    }

    pub(crate) fn check_version(&self, oldest: i32) -> Result<(), Failure> {
        if self.version_number >= oldest {
            return Ok(());
        }
        Err(unsuitable(format!(
            "PostgreSQL {} or newer is needed, this is {}",
            oldest / 10_000,
            self.version
        )))
    }

    pub(crate) fn check_encoding(&self) -> Result<(), Failure> {
        if self.encoding == "UTF8" {
            return Ok(());
        }
        Err(unsuitable(format!(
            "the database's encoding is {}; create one with ENCODING 'UTF8' TEMPLATE template0",
            self.encoding
        )))
    }

    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        let read_only = |message: &str| {
            Err(Failure::Refused { reason: RefusedReason::ReadOnly, message: message.into() })
        };
        if self.is_standby {
            return read_only("the server is a standby, which takes no writes; connect to its primary");
        }
        if self.read_only == "on" {
            return read_only("default_transaction_read_only is on for this server, database or role");
        }
        Ok(())
    }

    pub(crate) fn check_durability(&self) -> Result<(), Failure> {
        match self.unsafe_setting() {
            Some(setting) => Err(unsuitable(format!(
                "{setting} is off: the server forgets what it acknowledged when the machine fails; set it to on"
            ))),
            None => Ok(()),
        }
    }

    /// The setting because of which the server forgets what it acknowledged.
    pub(crate) fn unsafe_setting(&self) -> Option<&'static str> {
        first_off(&self.fsync, &self.synchronous_commit)
    }
}

/// The setting because of which this session's server forgets what it acknowledged, as it is.
pub(crate) async fn unsafe_setting(connection: &mut PgConnection) -> Result<Option<String>, EngineError> {
    let row = sqlx::query("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        .persistent(false)
        .fetch_one(connection)
        .await?;
    Ok(first_off(row.try_get(0)?, row.try_get(1)?).map(|setting| format!("{setting} is off")))
}

fn first_off(fsync: &str, synchronous_commit: &str) -> Option<&'static str> {
    let settings = [("fsync", fsync), ("synchronous_commit", synchronous_commit)];
    settings.into_iter().find(|(_, value)| *value == "off").map(|(setting, _)| setting)
}

fn unsuitable(message: String) -> Failure {
    Failure::Refused { reason: RefusedReason::Unsuitable, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, SchemaName};

    fn good() -> Settings {
        Settings {
            version_number: 150_018,
            version: "15.18".into(),
            encoding: "UTF8".into(),
            fsync: "on".into(),
            synchronous_commit: "on".into(),
            is_standby: false,
            read_only: "off".into(),
            full_page_writes: "on".into(),
        }
    }

    fn check(settings: &Settings, allow_unsafe_durability: bool) -> Result<(), Failure> {
        let address = Address::parse("postgres://h/d").expect("good");
        let schema = SchemaName::parse("s").expect("good");
        settings.check(&PostgresConfig { allow_unsafe_durability, ..PostgresConfig::new(address, schema) })
    }

    fn reason(settings: &Settings) -> (RefusedReason, String) {
        match check(settings, false) {
            Err(Failure::Refused { reason, message }) => (reason, message),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn each_unfit_server_is_refused_with_its_reason() {
        assert_eq!(check(&good(), false), Ok(()));
        let old = Settings { version_number: 140_011, version: "14.11 (Debian)".into(), ..good() };
        let (why, message) = reason(&old);
        assert_eq!(why, RefusedReason::Unsuitable);
        assert!(message.contains("15 or newer") && message.contains("14.11"), "{message}");
        let latin = Settings { encoding: "LATIN1".into(), ..good() };
        assert!(reason(&latin).1.contains("LATIN1"));
        let standby = Settings { is_standby: true, ..good() };
        assert_eq!(reason(&standby).0, RefusedReason::ReadOnly);
        let read_only = Settings { read_only: "on".into(), ..good() };
        assert_eq!(reason(&read_only).0, RefusedReason::ReadOnly);
        for forgetful in [
            Settings { fsync: "off".into(), ..good() },
            Settings { synchronous_commit: "off".into(), ..good() },
        ] {
            assert_eq!(reason(&forgetful).0, RefusedReason::Unsuitable);
            assert_eq!(check(&forgetful, true), Ok(()));
        }
        let remote = Settings { synchronous_commit: "remote_apply".into(), ..good() };
        assert_eq!(check(&remote, false), Ok(()));
    }
}
