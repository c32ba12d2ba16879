//! Ends the sessions of processes that fell silent in the middle of what they said, and hold the lock.
//!
//! The server's own limit counts from its last answer to the first whole message after it. Whoever stands still between
//! the messages of one statement, or whose last words the network lost, is not idle but active: the server waits for the
//! rest of the statement without any limit, and keeps what it locked. So whoever waits for the lock looks for that.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use crate::error::EngineError;

/// So long a session of a live process never waits for the next message of a statement.
const SILENCE: Duration = Duration::from_secs(1);

/// Of one's own role only: others' may not be ended. `active` and waiting for its client: in the middle of a statement.
/// Who waits for the lock waits for no client, and readers take no such lock.
const END: &str = "SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a WHERE a.usename = current_user \
     AND a.datname = current_database() AND a.state = 'active' AND a.wait_event = 'ClientRead' \
     AND a.state_change < clock_timestamp() - $1 * interval '1 millisecond' \
     AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.relation = 'polylog_head'::regclass \
     AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))";

/// Call when the lock was not to be had; leaves the connection outside of any transaction.
pub(crate) async fn end_sessions(connection: &mut PgConnection) -> Result<(), EngineError> {
    // outside of a transaction it says nothing
    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
    let silence = SILENCE.as_millis() as f64;
    let ended: i64 = sqlx::query(END).bind(silence).fetch_one(connection).await?.try_get(0)?;
    if ended > 0 {
        tracing::warn!(
            event = "silent_sessions_ended",
            ended,
            "ended sessions that held the lock and fell silent in the middle of a statement"
        );
    }
    Ok(())
}
