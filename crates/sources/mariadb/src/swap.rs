//! Head and rows in one transaction, if the log stands where the writer thinks: mostly in one packet.

use std::fmt::Write as _;

use polylog_log::{Effect, Head, Position, Timestamp, Watermarks};
use polylog_source_servers::faults;
use sqlx::{Row, mysql::MySqlRow};

use crate::{
    connection::Session,
    dialect::is_durable,
    error::EngineError,
    head::clock,
    insert,
    operation::{Stopped, Writer, at_commit},
    rows::{NewRow, number},
    script::{Broken, Script},
    tables::{Statement, Statements},
    text, wait,
};

/// A query that gives two rows where one is wanted: an error that ends the packet. It is not even looked at where the
/// condition holds.
macro_rules! raise {
    () => {
        "(SELECT 1 UNION SELECT 2)"
    };
}

/// What the head became; and an error if there is none, which an UPDATE of no row would not notice.
const AFTER: Statement = Statement(concat!(
    "SELECT MAX(stable), MAX(acked), MAX(revision), ",
    clock!(),
    ", IF(COUNT(*) = 1, 0, ",
    raise!(),
    ") FROM polylog_head WHERE lane = 0"
));

/// What the swap begins with.
const UPDATE: Statement = Statement("UPDATE polylog_head SET tail_position = IF(format = ");

/// What became of a swap.
struct Swapped {
    head: Head,
    clock: Timestamp,
}

/// Why a swap wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The head is another one.
    OtherHead,
    /// An id, a commit or a version is there already.
    Duplicate,
    /// Somebody else's transaction was in the way.
    Deadlock,
}

/// Writes what was decided on a remembered head, if the database still has that; gives the head afterwards. `None`: nothing was
/// written, and the answer needs the lock.
pub(crate) async fn swap(
    writer: &mut Writer,
    before: &Head,
    effect: &Effect,
) -> Result<Option<Head>, Stopped> {
    writer.faults.pass(faults::LOOKED_UP).await?;
    let swapped = match send(writer, before, &effect.head, &NewRow::of(&effect.write)).await? {
        Ok(swapped) => swapped,
        Err(lost) => {
            // an id, a commit or a stream that is there already: which one, is answered under the lock
            if lost == Lost::OtherHead {
                writer.memory.lost();
            }
            return Ok(None);
        }
    };
    writer.faults.pass(faults::COMMITTED).await.map_err(|stop| Stopped::after_commit(stop.into()))?;
    writer.memory.remember(&before.tail, swapped.head.clone(), &effect.write);
    writer.memory.set_clock(swapped.clock);
    wait::publish(&writer.tail, swapped.head.tail.position);
    Ok(Some(swapped.head))
}

async fn send(
    writer: &mut Writer,
    before: &Head,
    after: &Head,
    rows: &[NewRow<'_>],
) -> Result<Result<Swapped, Lost>, Stopped> {
    let allow = writer.handle.config.allow_unsafe_durability;
    let statements = writer.handle.statements.clone();
    let update = update(&statements, before, after, allow);
    #[cfg(feature = "mutants")]
    let update = crate::mutants::swap(update);
    let mut script = Script::default().then("START TRANSACTION").then(update);
    let session = writer.slot.current()?;
    let mut rows = rows;
    if !insert::are_few(rows, session.packet) {
        // the head first: who finds another one there sends no rows
        let opened = script.run(&mut session.connection).await.map_err(EngineError::from);
        match begin(opened, session, rows).await {
            Ok(rest) => rows = rest,
            Err(error) => return undo(writer, error).await.map(Err),
        }
        script = Script::default();
    }
    if !rows.is_empty() {
        script = script.then(insert::as_text(&statements, rows));
    }
    writer.is_committing = true;
    let session = writer.slot.current()?;
    match script.then(statements.sql(AFTER).as_str()).then("COMMIT").run(&mut session.connection).await {
        Ok(found) => Ok(Ok(swapped(&found, after).map_err(Stopped::after_commit)?)),
        Err(Broken { error, reached_last: false, .. }) => {
            writer.is_committing = false;
            undo(writer, error).await.map(Err)
        }
        Err(broken) => Err(at_commit(broken)),
    }
}

/// Goes on after the head was written, with rows that are many or large; gives those that are left.
async fn begin<'a>(
    opened: Result<Vec<MySqlRow>, EngineError>,
    session: &mut Session,
    rows: &'a [NewRow<'a>],
) -> Result<&'a [NewRow<'a>], EngineError> {
    opened?;
    insert::most(session, rows).await
}

/// Nothing may be left of what did not come to its end: the next transaction would begin by committing it.
async fn undo(writer: &mut Writer, error: EngineError) -> Result<Lost, Stopped> {
    let lost = if error.is_other_head() {
        Lost::OtherHead
    } else if error.is_unique_violation() {
        Lost::Duplicate
    } else if error.is_deadlock() {
        Lost::Deadlock
    } else {
        return Err(Stopped::Before(error));
    };
    let session = writer.slot.current()?;
    Script::default().then("ROLLBACK").run(&mut session.connection).await.map_err(EngineError::from)?;
    Ok(lost)
}

/// The conditions are what the decision rested on: who this database is, who leads it, its configuration, and its whole
/// history up to the tail. An UPDATE that waited for another one looks at them on the row as it is then. Not the
/// revision: watermarks and promises that come again may move it meanwhile. That ids and commits are new is left to the
/// unique indexes. All stand in the first assignment: those behind it see what it assigned.
fn update(statements: &Statements, before: &Head, after: &Head, allow_unsafe_durability: bool) -> String {
    let mut to = String::with_capacity(700);
    let identity = &before.identity;
    to.push_str(statements.sql(UPDATE).as_str());
    text::number(&mut to, before.format.into());
    for (column, id) in [
        (" AND log = ", identity.log.uuid()),
        (" AND `database` = ", identity.database.uuid()),
        (" AND incarnation = ", identity.incarnation.uuid()),
    ] {
        to.push_str(column);
        text::id(&mut to, id);
    }
    for (column, number) in [
        (" AND term = ", before.term.get()),
        (" AND `lead` = ", before.lead.get()),
        (" AND config_position = ", before.config.position.get()),
        (" AND tail_position = ", before.tail.position.get()),
    ] {
        to.push_str(column);
        text::number(&mut to, number);
    }
    to.push_str(" AND tail_chain = ");
    text::hexadecimal(&mut to, before.tail.chain.as_bytes());
    if !allow_unsafe_durability {
        // a setting of the whole server, which changes under an open session
        to.push_str(concat!(" AND ", is_durable!()));
    }
    let _ = write!(to, ", {}, ", after.tail.position.get());
    to.push_str(concat!(raise!(), "), tail_chain = "));
    text::hexadecimal(&mut to, after.tail.chain.as_bytes());
    let (stable, acked) = (after.watermarks.stable.get(), after.watermarks.acked.get());
    let _ = write!(
        to,
        ", tail_term = {}, recorded_at = {}, stable = GREATEST(stable, {stable}), acked = GREATEST(acked, {acked}), \
         revision = revision + 1 WHERE lane = 0",
        after.tail.term.get(),
        after.recorded_at.as_micros()
    );
    to
}

fn swapped(rows: &[MySqlRow], after: &Head) -> Result<Swapped, EngineError> {
    let row = rows.last().ok_or_else(|| EngineError::damaged("a swap gave no answer"))?;
    let watermarks =
        Watermarks { stable: Position::new(number(row, 0)?), acked: Position::new(number(row, 1)?) };
    let head = Head { watermarks, revision: number(row, 2)?, ..after.clone() };
    Ok(Swapped { head, clock: Timestamp::from_micros(row.try_get_unchecked(3)?) })
}
