//! How each server is brought into a bad state, and out of it.

use std::time::Instant;

use polylog_test_bed::{MariadbServer, PostgresServer};

use super::ENOUGH;
use crate::support::server::{LogServer, Place};

/// Our tables.
const TABLES: [&str; 6] = [
    "polylog_events",
    "polylog_configs",
    "polylog_cuts",
    "polylog_quarantine",
    "polylog_leases",
    "polylog_head",
];

/// A server that tests bring into a bad state.
pub trait BadServer: LogServer {
    /// What is said of a server that takes no writes.
    const TAKES_NO_WRITES: &'static str;
    /// What is said of one that begins to forget.
    const FORGETS: &'static str;
    /// The settings of one that forgets from its start.
    const FORGETFUL: (&'static str, &'static str);
    /// What is said of that one.
    const IS_FORGETFUL: &'static str;

    /// The code of what is sent while its own log has no room.
    const LOG_IS_FULL: &'static str;

    fn with(settings: &[(&str, &str)]) -> Self;

    /// A server and a place in it that has a small disk.
    fn with_small_disk() -> (Self, Place);

    /// A server whose own log, without which it commits nothing, has a small disk.
    fn with_small_log_disk() -> Self;

    /// Leaves no room on the small disk.
    fn fill_disk(&self);

    /// Gives the room back, and has the server run again where it ended for want of it.
    fn free_disk(&self);

    /// Whether SQL could be run as administrator.
    fn succeeds(&self, place: &Place, sql: &str) -> bool;

    /// Lets a user create a log in a place, and work with it.
    fn let_provision(&self, place: &Place, user: &str);

    fn let_insert(&self, place: &Place, user: &str, may: bool);

    fn let_write(&self, place: &Place, may: bool);

    fn forget(&self, forgets: bool);

    fn id_index(&self, place: &Place, is_there: bool);

    /// Puts a table of somebody else in the place of one of ours; or ours back.
    fn foreign_head(&self, place: &Place, is_foreign: bool);

    /// What is there, in another place.
    fn copy(&self, place: &Place, user: &str) -> Place;

    /// The same by way of a dump, as its own programs write and read it.
    fn restored_dump(&self, place: &Place, user: &str) -> Place;

    /// Puts what another place holds here, which is kept in the place that is given back. `user` may use it.
    fn replace(&self, place: &Place, by: &Place, user: &str) -> Place;

    /// Puts what was kept back; what stood in its place is gone.
    fn put_back(&self, place: &Place, kept: &Place);
}

impl BadServer for PostgresServer {
    const TAKES_NO_WRITES: &'static str = "default_transaction_read_only";
    const FORGETS: &'static str = "fsync is off";
    const FORGETFUL: (&'static str, &'static str) = ("fsync", "off");
    const IS_FORGETFUL: &'static str = "fsync is off";
    /// It ends.
    const LOG_IS_FULL: &'static str = "source_unavailable";

    fn with(settings: &[(&str, &str)]) -> Self {
        Self::with(settings)
    }

    fn with_small_disk() -> (Self, Place) {
        let server = Self::with_small_disk(24);
        server.execute("postgres", "CREATE DATABASE cramped TABLESPACE small");
        (server, Place { database: "cramped".into(), schema: "payments".into(), prefix: "" })
    }

    fn with_small_log_disk() -> Self {
        Self::with_small_log_disk(8)
    }

    fn fill_disk(&self) {
        self.fill_disk(true);
    }

    /// A server that cannot write its log ends, and comes back by itself as long as its recovery finds room.
    fn free_disk(&self) {
        self.fill_disk(false);
        self.crash();
        self.start_again();
    }

    fn succeeds(&self, place: &Place, sql: &str) -> bool {
        self.client(&place.database).args(["-c", sql]).output().unwrap().status.success()
    }

    fn let_provision(&self, place: &Place, user: &str) {
        let database = &place.database;
        self.execute(database, &format!("GRANT CREATE, CONNECT ON DATABASE {database} TO {user}"));
    }

    fn let_insert(&self, place: &Place, user: &str, may: bool) {
        // the owner's own rights can be taken away like any other's
        let events = place.table("polylog_events");
        let sql = if may {
            format!("GRANT INSERT ON {events} TO {user}")
        } else {
            format!("REVOKE INSERT ON {events} FROM {user}")
        };
        self.run(place, &sql);
    }

    fn let_write(&self, place: &Place, may: bool) {
        let (database, to) = (&place.database, if may { "off" } else { "on" });
        let sql = format!("ALTER DATABASE {database} SET default_transaction_read_only = {to}");
        self.execute("postgres", &sql);
        self.end_sessions(place);
    }

    fn forget(&self, forgets: bool) {
        let set = if forgets { "SET fsync = off" } else { "RESET fsync" };
        self.execute("postgres", &format!("ALTER SYSTEM {set};; SELECT pg_reload_conf()"));
    }

    fn id_index(&self, place: &Place, is_there: bool) {
        let (schema, events) = (&place.schema, place.table("polylog_events"));
        self.run(
            place,
            &if is_there {
                format!("CREATE UNIQUE INDEX polylog_events_id ON {events} USING btree (id)")
            } else {
                format!("DROP INDEX {schema}.polylog_events_id")
            },
        );
    }

    fn foreign_head(&self, place: &Place, is_foreign: bool) {
        let schema = &place.schema;
        let sql = if is_foreign {
            format!(
                "ALTER SCHEMA {schema} RENAME TO kept;; CREATE SCHEMA {schema} CREATE TABLE polylog_head (a int)"
            )
        } else {
            format!("DROP SCHEMA {schema} CASCADE;; ALTER SCHEMA kept RENAME TO {schema}")
        };
        self.run(place, &sql);
    }

    fn copy(&self, place: &Place, user: &str) -> Place {
        let database = &place.database;
        let copy = format!("{database}_copy");
        self.execute("postgres", &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"));
        wait_for_no_session(self, database);
        let sql = format!(
            "CREATE DATABASE {copy} TEMPLATE {database};; GRANT CREATE, CONNECT ON DATABASE {copy} TO {user};; \
             ALTER DATABASE {database} ALLOW_CONNECTIONS true"
        );
        self.execute("postgres", &sql);
        Place { database: copy, ..place.clone() }
    }

    fn restored_dump(&self, place: &Place, user: &str) -> Place {
        let restored = Place { database: self.create_database(), ..place.clone() };
        self.let_provision(&restored, user);
        self.restore_dump(&place.database, &restored.database);
        restored
    }

    fn replace(&self, place: &Place, by: &Place, user: &str) -> Place {
        let (database, other) = (&place.database, &by.database);
        let kept = format!("{database}_kept");
        let owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename = 'polylog_head'";
        for owner in self.execute(other, owners).lines().filter(|owner| *owner != user) {
            self.execute("postgres", &format!("GRANT {owner} TO {user}"));
        }
        for name in [database, other] {
            self.execute("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        }
        for (from, to) in [(database, &kept), (other, database)] {
            wait_for_no_session(self, from);
            self.execute("postgres", &format!("ALTER DATABASE {from} RENAME TO {to}"));
        }
        for name in [database, &kept] {
            self.execute("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        }
        Place { database: kept, ..place.clone() }
    }

    fn put_back(&self, place: &Place, kept: &Place) {
        self.execute("postgres", &format!("DROP DATABASE {} WITH (FORCE)", place.database));
        let rename = format!("ALTER DATABASE {} RENAME TO {}", kept.database, place.database);
        self.execute("postgres", &rename);
    }
}

/// Ends those that there are, in a database that takes no new ones.
fn wait_for_no_session(server: &PostgresServer, database: &str) {
    let of = format!("FROM pg_stat_activity WHERE datname = '{database}'");
    let deadline = Instant::now() + ENOUGH;
    while server.execute("postgres", &format!("SELECT count(pg_terminate_backend(pid)) {of}")) != "0" {
        assert!(Instant::now() < deadline, "sessions of {database} do not end");
    }
}

impl BadServer for MariadbServer {
    const TAKES_NO_WRITES: &'static str = "read_only is on";
    const FORGETS: &'static str = "innodb_flush_log_at_trx_commit";
    const FORGETFUL: (&'static str, &'static str) = ("skip-log-bin", "1");
    const IS_FORGETFUL: &'static str = "log_bin is OFF";
    /// It waits for room, and looks for it once a minute.
    const LOG_IS_FULL: &'static str = "outcome_unknown";

    fn with(settings: &[(&str, &str)]) -> Self {
        Self::with(settings)
    }

    fn with_small_disk() -> (Self, Place) {
        (
            Self::with_small_disk(16),
            Place { database: "cramped".into(), schema: "cramped".into(), prefix: "" },
        )
    }

    fn with_small_log_disk() -> Self {
        Self::with_small_log_disk(4)
    }

    fn fill_disk(&self) {
        self.fill_disk(true);
    }

    fn free_disk(&self) {
        self.fill_disk(false);
    }

    fn succeeds(&self, _: &Place, sql: &str) -> bool {
        self.client("mysql").args(["-e", sql]).output().unwrap().status.success()
    }

    fn let_provision(&self, place: &Place, user: &str) {
        let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX";
        self.execute("mysql", &format!("GRANT {rights} ON {}.* TO {user}@'%'", place.database));
    }

    fn let_insert(&self, place: &Place, user: &str, may: bool) {
        let on = format!("ON {}.*", place.database);
        let sql = if may {
            format!("GRANT INSERT {on} TO {user}@'%'")
        } else {
            format!("REVOKE INSERT {on} FROM {user}@'%'")
        };
        self.execute("mysql", &sql);
    }

    fn let_write(&self, _: &Place, may: bool) {
        self.execute("mysql", &format!("SET GLOBAL read_only = {}", i32::from(!may)));
    }

    fn forget(&self, forgets: bool) {
        let to = if forgets { 2 } else { 1 };
        self.execute("mysql", &format!("SET GLOBAL innodb_flush_log_at_trx_commit = {to}"));
    }

    fn id_index(&self, place: &Place, is_there: bool) {
        let events = place.table("polylog_events");
        let sql = if is_there {
            format!("CREATE UNIQUE INDEX polylog_events_id ON {events} (id)")
        } else {
            format!("DROP INDEX polylog_events_id ON {events}")
        };
        self.execute("mysql", &sql);
    }

    fn foreign_head(&self, place: &Place, is_foreign: bool) {
        let (head, kept) = (place.table("polylog_head"), place.table("kept_head"));
        let sql = if is_foreign {
            format!("RENAME TABLE {head} TO {kept}; CREATE TABLE {head} (a int)")
        } else {
            format!("DROP TABLE {head}; RENAME TABLE {kept} TO {head}")
        };
        self.execute("mysql", &sql);
    }

    fn copy(&self, place: &Place, _: &str) -> Place {
        let copy = beside(place, "copy");
        let mut sql = format!("CREATE DATABASE {}", copy.database);
        for table in TABLES {
            let (from, to) = (place.table(table), copy.table(table));
            sql.push_str(&format!("; CREATE TABLE {to} LIKE {from}; INSERT INTO {to} SELECT * FROM {from}"));
        }
        self.execute("mysql", &sql);
        copy
    }

    fn restored_dump(&self, place: &Place, _: &str) -> Place {
        let database = self.create_database();
        self.restore_dump(&place.database, &database);
        Place { schema: database.clone(), database, ..place.clone() }
    }

    fn replace(&self, place: &Place, by: &Place, _: &str) -> Place {
        let kept = beside(place, "kept");
        self.execute("mysql", &format!("CREATE DATABASE {}", kept.database));
        self.execute("mysql", &renamed(&[(place, &kept), (by, place)]));
        kept
    }

    fn put_back(&self, place: &Place, kept: &Place) {
        let gone = beside(place, "gone");
        self.execute("mysql", &format!("CREATE DATABASE {}", gone.database));
        self.execute("mysql", &renamed(&[(place, &gone), (kept, place)]));
        for place in [&gone, kept] {
            self.execute("mysql", &format!("DROP DATABASE {}", place.database));
        }
    }
}

fn beside(place: &Place, what: &str) -> Place {
    let database = format!("{}_{what}", place.database);
    Place { schema: database.clone(), database, prefix: "" }
}

/// All tables of all places at once.
fn renamed(moves: &[(&Place, &Place)]) -> String {
    let each = moves.iter().flat_map(|(from, to)| TABLES.map(|table| (from.table(table), to.table(table))));
    let each: Vec<String> = each.map(|(from, to)| format!("{from} TO {to}")).collect();
    format!("RENAME TABLE {}", each.join(", "))
}
