use std::ops::RangeInclusive;

use polylog_log::{Chain, Digest, Digests, Position};
use sqlx::{PgConnection, Row};

use crate::{
    error::EngineError,
    rows::{bytes, number},
};

/// See [`polylog_log::Source::digests`].
pub(crate) async fn digests(
    connection: &mut PgConnection,
    range: &RangeInclusive<Position>,
) -> Result<Digests, EngineError> {
    let row = sqlx::query(
        "SELECT count(*), coalesce(bit_xor(('x' || encode(digest, 'hex'))::bit(128)), 0::bit(128))::text, \
         (SELECT chain FROM polylog_events WHERE position = $2) \
         FROM polylog_events WHERE position BETWEEN $1 AND $2",
    )
    .bind(range.start().get().cast_signed())
    .bind(range.end().get().cast_signed())
    .fetch_one(connection)
    .await?;
    let bits: &str = row.try_get(1)?;
    let combined = u128::from_str_radix(bits, 2)
        .map_err(|error| EngineError::damaged(format!("the combined digest: {error}")))?;
    let chain = match row.try_get::<Option<&[u8]>, _>(2)? {
        Some(_) => Some(Chain::from_bytes(bytes(&row, 2)?)),
        None => None,
    };
    Ok(Digests { count: number(&row, 0)?, combined: Digest::from_bytes(combined.to_be_bytes()), chain })
}
