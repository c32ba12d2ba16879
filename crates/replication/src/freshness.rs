//! What a read promises: its token's history is this log's, and its snapshot is as fresh as was asked for.

use std::time::Duration;

use polylog_log::{Chain, Failure, Head, Point, Position, ReadLog, SourceName};
use tokio::time::Instant;

use crate::{
    Consistency, ReadError, ReadOptions, Served, TokenPoint,
    caught::caught,
    reader::{Data, Near, Who},
    shared::Shared,
    writer::Writer,
};

/// Somebody who waits for a position asks at most this often.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long the proof of a strong read may take.
const LONGEST_PROOF: Duration = Duration::from_secs(5);
/// A source that says nothing is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The position that a read's snapshot must have reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted(Position);

impl Wanted {
    /// Who may answer a read that wants this. A strong one rests on what was proven of those that lack nothing.
    pub(crate) fn of_whom<'a>(&self, options: &'a ReadOptions) -> Who<'a> {
        let only = options.source.as_ref();
        let near = Near { to: self.0, ..Near::default() };
        match options.consistency {
            Consistency::Strong => Who::level(only),
            Consistency::Session | Consistency::Eventual => Who::near(only, near),
            Consistency::Bounded => {
                let ReadOptions { max_lag_events, max_lag, .. } = *options;
                Who::near(only, Near { max_lag_events, max_lag, ..near })
            }
        }
    }
}

impl Shared {
    /// Checks, before a read, what does not depend on its snapshot; waits until the log reaches the token. Says the
    /// position that the snapshot must have: what is acknowledged while the read is under way may be missing in it.
    pub(crate) async fn check(&self, options: &ReadOptions) -> Result<Wanted, ReadError> {
        let is_unknown = |source: &&SourceName| !self.reader.has(&self.source_name, source);
        if let Some(source) = options.source.as_ref().filter(is_unknown) {
            return Err(ReadError::UnknownSource(source.clone()));
        }
        if let Some(token) = options.token {
            self.check_token(token, options.wait).await?;
        }
        let acknowledged = match (options.consistency, &self.writer) {
            (Consistency::Strong | Consistency::Session, Writer::One(_)) => self.acknowledged(),
            // What is acknowledged is shown before its caller learns of it. Below a majority a failover may take it back: a
            // read that waited for it would wait for ever.
            (Consistency::Strong | Consistency::Session, Writer::Many(handle)) => {
                self.acknowledged().min(handle.view().cap())
            }
            (Consistency::Bounded | Consistency::Eventual, _) => Position::ZERO,
        };
        let proven = match (options.consistency, &self.writer) {
            (Consistency::Strong, Writer::Many(handle)) => {
                let deadline = (Instant::now() + LONGEST_PROOF).into_std();
                let proven = handle.prove(deadline).await.ok_or(ReadError::NoPrimary)?;
                proven.position
            }
            _ => Position::ZERO,
        };
        let token = options.token.map_or(Position::ZERO, |token| token.position);
        Ok(Wanted(token.max(acknowledged).max(proven)))
    }

    /// Checks the snapshot that a read was answered from, and says where it came from.
    pub(crate) fn served(
        &self,
        head: &Head,
        options: &ReadOptions,
        wanted: Wanted,
    ) -> Result<Served, ReadError> {
        let Some(source) = self.name_of(head) else {
            return Err(Failure::WrongStore(format!("log {}", head.identity.log)).into());
        };
        // With one voter everything in the log of the primary is committed, and nobody else can have answered since. With
        // several the proof was had before the read.
        let is_proven = match self.writer {
            Writer::One(_) => head.is_primary() && head.is_sole_voter(),
            Writer::Many(_) => true,
        };
        if options.consistency == Consistency::Strong && !is_proven {
            return Err(ReadError::NoPrimary);
        }
        let (point, tail, Wanted(wanted)) = (head.tail, head.tail.position, wanted);
        if tail < wanted {
            return Err(ReadError::NotCaughtUp { wanted, tail });
        }
        let end = self.heads.newest().tail.position.max(tail);
        let lag_events = end.get() - tail.get();
        if options.consistency == Consistency::Bounded && !self.is_near(&source, lag_events, options) {
            return Err(ReadError::NotCaughtUp { wanted: end, tail });
        }
        Ok(Served { source, position: tail, head: end, lag_events, point })
    }

    /// The source that showed a head.
    pub(crate) fn name_of(&self, head: &Head) -> Option<SourceName> {
        self.reader.name_of((&self.identity, &self.source_name), &head.identity)
    }

    /// Whether a source that is so far behind is near enough for a bounded read, as far as this process knows.
    fn is_near(&self, source: &SourceName, lag_events: u64, options: &ReadOptions) -> bool {
        let lag = || match &self.writer {
            Writer::One(_) => Some(Duration::ZERO),
            Writer::Many(_) if lag_events == 0 => Some(Duration::ZERO),
            Writer::Many(handle) => {
                let view = handle.view();
                view.lag_of(source, Instant::now().into_std())
            }
        };
        options.max_lag_events.is_none_or(|most| lag_events <= most)
            && options.max_lag.is_none_or(|most| lag().is_some_and(|lag| lag <= most))
    }

    pub(crate) async fn check_token(&self, token: TokenPoint, wait: Duration) -> Result<(), ReadError> {
        let log = self.identity.log;
        if !token.is_of(log) {
            return Err(ReadError::OtherStore);
        }
        let wanted = token.position;
        let deadline = Instant::now() + wait;
        loop {
            let chain = match wanted.is_zero() {
                true => Some(Chain::start(log)),
                false => caught(self.reader.chain_at(token)).await??,
            };
            if let Some(chain) = chain {
                return if token.matches(chain) { Ok(()) } else { Err(self.forked(wanted).await?) };
            }
            let asked = self.heads.ask();
            let head = caught(self.reader.head()).await??;
            self.heads.publish(&head, asked);
            let tail = head.tail.position;
            let is_late = Instant::now() >= deadline;
            if tail >= wanted && !is_late {
                // it came meanwhile, or who was asked has forgotten it
                tokio::time::sleep(ASK_EVERY).await;
                continue;
            }
            if is_late {
                // With one voter a token names what that voter had: it has it no more, and may number others so.
                let had_it =
                    matches!(self.writer, Writer::One(_)) && head.is_primary() && head.is_sole_voter();
                return Err(match had_it {
                    true => self.forked(wanted).await?,
                    false => ReadError::NotCaughtUp { wanted, tail },
                });
            }
            self.wait_beyond(tail, deadline).await;
        }
    }

    async fn wait_beyond(&self, tail: Position, deadline: Instant) {
        let at_most = deadline.saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
        let mut heads = self.heads.subscribe();
        let own = async { heads.wait_for(|head| head.tail.position > tail).await.is_ok() };
        // All of these are hints: the log is asked again in any case.
        tokio::select! {
            _ = own => {}
            _ = caught(self.reader.wait(tail, at_most)) => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
        tokio::time::sleep(ASK_EVERY.min(at_most)).await;
    }

    /// The error for a position whose chain is not the log's.
    pub(crate) async fn forked(&self, position: Position) -> Result<ReadError, Failure> {
        let head = caught(self.reader.head()).await??;
        let fork = head.last_cut.map(|cut| cut.keep.position).filter(|keep| *keep < position);
        Ok(ReadError::HistoryForked { position, fork })
    }

    /// The place of a position in the log, which may be inside a commit; `None` = the log does not reach it.
    pub(crate) async fn place(&self, position: Position) -> Result<Option<Point>, Failure> {
        if position.is_zero() {
            return Ok(Some(Point::start(self.identity.log)));
        }
        let read = ReadLog { from: position, to: position, max_events: 1, max_bytes: 1 };
        let page = caught(self.reader.read_log(Who::reaching(position), read, Data::AsKept)).await??;
        let entry = page.entries.into_iter().next().filter(|entry| entry.last() >= position);
        Ok(entry.map(|entry| Point { position, term: entry.term, chain: entry.chain }))
    }
}
