//! Where the tables stand and what they are called: the one place that puts the prefix in front of their names.
//!
//! Everywhere else tables and indexes have the names that they have without one (`polylog_head`); a statement with such
//! names is a [`Statement`], which only [`Statements`] turns into one that can be sent.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use sqlx::{AssertSqlSafe, MySql, SqlSafeStr, SqlStr, mysql::MySqlArguments, query::Query};

use crate::config::{ConfigError, DatabaseName};

/// What every name of ours begins with, behind the prefix.
const OURS: &str = "polylog_";

/// The longest prefix, in bytes: the names behind it must fit into the 64 characters that MariaDB gives them.
const LONGEST: usize = 20;

/// Text in front of the names of our tables and indexes, so that several logs share one database. Empty, or a lower-case
/// letter or `_` and up to 19 more of them or digits: some servers keep the names of tables in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablePrefix(String);

impl TablePrefix {
    /// Checks a prefix.
    ///
    /// # Errors
    /// What may not stand there.
    pub fn parse(prefix: &str) -> Result<Self, ConfigError> {
        let holds = |c: char| c.is_ascii_lowercase() || c == '_';
        let begins = prefix.chars().next().is_none_or(holds);
        let goes_on = prefix.chars().all(|c| holds(c) || c.is_ascii_digit());
        if !begins || !goes_on || prefix.len() > LONGEST {
            return Err(ConfigError::Prefix(prefix.into()));
        }
        Ok(Self(prefix.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the tables of one log stand: a database of the server, and what their names begin with there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The database; several logs may share it.
    pub database: DatabaseName,
    /// Tables with another prefix are others', even if they are a log of ours.
    pub prefix: TablePrefix,
}

/// Without a prefix.
impl From<DatabaseName> for Tables {
    fn from(database: DatabaseName) -> Self {
        Self { database, prefix: TablePrefix::default() }
    }
}

/// As messages and preflights name it.
impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {}", self.database)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, " with the table prefix {prefix}"),
        }
    }
}

impl Tables {
    /// A name of ours as it is in this database.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix.0)
    }

    /// A table of ours with its database, as statements need it.
    pub(crate) fn qualified(&self, table: &str) -> String {
        format!("{}.{}{table}", self.database, self.prefix.0)
    }

    /// The name without the prefix, if it is one of ours.
    pub(crate) fn stem<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.prefix.as_str()).filter(|stem| stem.starts_with(OURS))
    }

    /// What names of ours are `LIKE`, and hardly any other.
    pub(crate) fn pattern(&self) -> String {
        format!("{}%", self.named(OURS).replace('_', "\\_"))
    }

    /// Statements on these tables.
    pub(crate) fn statements(&self) -> Statements {
        Statements { prefix: self.prefix.clone(), built: Mutex::default() }
    }
}

/// A statement of constant text, or the beginning of one; the names in it are those without a prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement(pub(crate) &'static str);

/// The statements of one source, with the names that its tables have. Each text is made once.
#[derive(Debug)]
pub(crate) struct Statements {
    prefix: TablePrefix,
    /// As many as there are constants; none without a prefix.
    built: Mutex<HashMap<&'static str, SqlStr>>,
}

impl Statements {
    /// The text that can be sent.
    pub(crate) fn sql(&self, Statement(text): Statement) -> SqlStr {
        if self.prefix.as_str().is_empty() {
            return text.into_sql_str();
        }
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let prefixed = || {
            let text = text.replace(OURS, &format!("{}{OURS}", self.prefix.as_str()));
            AssertSqlSafe(std::sync::Arc::<str>::from(text)).into_sql_str()
        };
        built.entry(text).or_insert_with(prefixed).clone()
    }

    /// The statement, to be given its parameters.
    pub(crate) fn query(&self, statement: Statement) -> Query<'static, MySql, MySqlArguments> {
        sqlx::query(self.sql(statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    fn tables(prefix: &str) -> Tables {
        let database = DatabaseName::parse("shop").expect("a good name");
        Tables { database, prefix: TablePrefix::parse(prefix).expect("a good prefix") }
    }

    #[test]
    fn prefixes_are_checked() {
        for good in ["", "pl_", "_", "pay2_", "polylog_", &"x".repeat(LONGEST)] {
            assert_eq!(TablePrefix::parse(good).expect("good").as_str(), good);
        }
        for bad in ["2pay_", "Pay_", "pay-", "pay.", "p y", "p`", "ü", &"x".repeat(LONGEST + 1)] {
            assert!(TablePrefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_name_fits_behind_the_longest_prefix() {
        let all = polylog_log::IndexOptions { event_type: true, aggregate_id: true };
        let indexes = schema::indexes(all);
        let names = schema::TABLES.iter().map(|table| table.name);
        for name in names.chain(indexes.iter().map(|index| index.name)) {
            assert!(name.starts_with(OURS), "{name}");
            assert!(LONGEST + name.len() <= 64, "{name}");
        }
    }

    #[test]
    fn names_of_other_prefixes_are_not_ours() {
        let (with, without) = (tables("pay_"), tables(""));
        assert_eq!(with.qualified("polylog_head"), "`shop`.pay_polylog_head");
        assert_eq!(without.qualified("polylog_head"), "`shop`.polylog_head");
        assert_eq!(with.stem("pay_polylog_head"), Some("polylog_head"));
        for others in ["polylog_head", "pays_polylog_head", "pay_head"] {
            assert_eq!(with.stem(others), None, "{others}");
        }
        assert_eq!(without.stem("pay_polylog_head"), None);
        assert_eq!(with.pattern(), "pay\\_polylog\\_%");
        assert_eq!(with.to_string(), "database `shop` with the table prefix pay_");
    }

    #[test]
    fn every_name_in_a_statement_gets_the_prefix_and_its_text_is_made_once() {
        let statement = Statement("SELECT 1 FROM polylog_head h FORCE INDEX (polylog_x) WHERE polylog = 1");
        assert_eq!(tables("").statements().sql(statement).as_str(), statement.0);
        let statements = tables("a_").statements();
        let sql = statements.sql(statement);
        assert_eq!(
            sql.as_str(),
            "SELECT 1 FROM a_polylog_head h FORCE INDEX (a_polylog_x) WHERE polylog = 1"
        );
        assert_eq!(statements.sql(statement).as_str().as_ptr(), sql.as_str().as_ptr());
    }
}
