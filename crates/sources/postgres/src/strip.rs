use polylog_log::{Head, Identity, Rules, Strip};

use crate::{
    error::EngineError,
    operation::{Stopped, Writer},
};

const STRIP: &str = "UPDATE polylog_events SET data = NULL \
    FROM UNNEST($1::bigint[], $2::bytea[]) AS named (at, digest) \
    WHERE polylog_events.position = named.at AND polylog_events.digest = named.digest AND type NOT LIKE '$%'";

/// See [`polylog_log::Source::strip`].
pub(crate) async fn strip(writer: &mut Writer, of: &Identity, strip: &Strip) -> Result<Head, Stopped> {
    let mut transaction = writer.begin().await?;
    let head = transaction.head.clone();
    if let Err(reason) = head.admit_strip(of, Rules::ALL) {
        return Err(transaction.refuse(reason).await?);
    }
    let positions: Vec<i64> = strip.events.iter().map(|(position, _)| position.get().cast_signed()).collect();
    let digests: Vec<&[u8]> = strip.events.iter().map(|(_, digest)| &digest.as_bytes()[..]).collect();
    let update = sqlx::query(STRIP).bind(positions).bind(digests);
    update.execute(transaction.connection()?).await.map_err(EngineError::from)?;
    transaction.commit().await?;
    Ok(head)
}
