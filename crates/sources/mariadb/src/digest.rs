use std::ops::RangeInclusive;

use polylog_log::{Chain, Digest, Digests, Position};
use sqlx::{MySqlConnection, Row};

use crate::{
    error::EngineError,
    rows::{number, optional_bytes},
};

/// See [`polylog_log::Source::digests`]. Bits are combined in halves of 64, which is what there are operators for.
pub(crate) async fn digests(
    connection: &mut MySqlConnection,
    range: &RangeInclusive<Position>,
) -> Result<Digests, EngineError> {
    let (start, end) = (range.start().get().cast_signed(), range.end().get().cast_signed());
    let row = sqlx::query(
        "SELECT count(*), BIT_XOR(CAST(CONV(HEX(LEFT(digest, 8)), 16, 10) AS UNSIGNED)), \
         BIT_XOR(CAST(CONV(HEX(RIGHT(digest, 8)), 16, 10) AS UNSIGNED)), \
         (SELECT chain FROM polylog_events WHERE position = ?) \
         FROM polylog_events WHERE position BETWEEN ? AND ?",
    )
    .bind(end)
    .bind(start)
    .bind(end)
    .fetch_one(connection)
    .await?;
    let half = |column: usize| -> Result<u128, EngineError> {
        Ok(u128::from(row.try_get_unchecked::<u64, _>(column)?))
    };
    let combined = half(1)? << 64 | half(2)?;
    let chain = optional_bytes(&row, 3)?.map(Chain::from_bytes);
    Ok(Digests { count: number(&row, 0)?, combined: Digest::from_bytes(combined.to_be_bytes()), chain })
}
