use std::time::Duration;

use polylog_api::Token;
use polylog_log::SourceName;
use polylog_replication::{Consistency, ReadOptions};

use super::LONGEST;
use crate::hosted::{ReadDefaults, token_point};

/// What a read asks for beyond its content, as far as it says it.
#[derive(Debug, Default)]
pub(crate) struct AskedOptions {
    pub(crate) consistency: Option<Consistency>,
    pub(crate) token: Option<Token>,
    pub(crate) max_lag_events: Option<u64>,
    pub(crate) max_lag: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) source: Option<SourceName>,
}

impl AskedOptions {
    /// With the store's defaults. The error says what is wrong with the lag.
    pub(crate) fn with(self, defaults: ReadDefaults) -> Result<ReadOptions, &'static str> {
        let mut options = ReadOptions {
            consistency: self.consistency.unwrap_or(defaults.consistency),
            token: self.token.map(token_point),
            max_lag_events: self.max_lag_events,
            max_lag: self.max_lag,
            wait: self.wait.unwrap_or(defaults.wait).min(LONGEST),
            source: self.source,
        };
        let names_lag = options.max_lag.is_some() || options.max_lag_events.is_some();
        if self.consistency.is_none() && defaults.consistency == Consistency::Bounded && !names_lag {
            options.max_lag = Some(defaults.max_lag);
            options.max_lag_events = Some(defaults.max_lag_events);
        }
        let is_bounded = options.consistency == Consistency::Bounded;
        if is_bounded != (options.max_lag.is_some() || options.max_lag_events.is_some()) {
            return Err("it belongs to consistency=bounded, which needs it");
        }
        Ok(options)
    }
}
