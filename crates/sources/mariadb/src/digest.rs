use std::ops::RangeInclusive;

use polylog_log::{Chain, Digest, Digests, Position};
use sqlx::Row;

use crate::{
    connection::Session,
    error::EngineError,
    rows::{number, optional_bytes},
    tables::Statement,
};

/// Bits are combined in halves of 64, which is what there are operators for.
const DIGESTS: Statement = Statement(
    "SELECT count(*), BIT_XOR(CAST(CONV(HEX(LEFT(digest, 8)), 16, 10) AS UNSIGNED)), \
     BIT_XOR(CAST(CONV(HEX(RIGHT(digest, 8)), 16, 10) AS UNSIGNED)), \
     (SELECT chain FROM polylog_events WHERE position = ?) \
     FROM polylog_events WHERE position BETWEEN ? AND ?",
);

/// See [`polylog_log::Source::digests`].
pub(crate) async fn digests(
    session: &mut Session,
    range: &RangeInclusive<Position>,
) -> Result<Digests, EngineError> {
    let (start, end) = (range.start().get().cast_signed(), range.end().get().cast_signed());
    let query = session.query(DIGESTS).bind(end).bind(start).bind(end);
    let row = query.fetch_one(&mut session.connection).await?;
    let half = |column: usize| -> Result<u128, EngineError> {
        Ok(u128::from(row.try_get_unchecked::<u64, _>(column)?))
    };
    let combined = half(1)? << 64 | half(2)?;
    let chain = optional_bytes(&row, 3)?.map(Chain::from_bytes);
    Ok(Digests { count: number(&row, 0)?, combined: Digest::from_bytes(combined.to_be_bytes()), chain })
}
