use std::{collections::BTreeSet, fmt, sync::Arc};

use polylog_log::SourceName;

use crate::{ForceRefused, StoreStatus, shared::Shared, writer::Writer};

/// What can be told of a log, and done about its primary, whether it is open or not. It keeps nothing running.
#[derive(Clone)]
pub struct Leadership {
    of: Arc<Shared>,
}

impl Leadership {
    pub(crate) fn of(of: Arc<Shared>) -> Self {
        Self { of }
    }

    /// How the store is now; one source is asked, for a second at most.
    pub async fn status(&self) -> StoreStatus {
        self.of.status().await
    }

    /// With several sources: opens the log without these voters, of which the caller says that they are stopped or cut
    /// off. What only they hold is lost to the log.
    pub async fn force(&self, absent: BTreeSet<SourceName>) -> Result<(), ForceRefused> {
        match &self.of.writer {
            Writer::One(_) => Err(ForceRefused::NoDuties),
            Writer::Many(handle) => handle.force(absent).await,
        }
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership").field("of", &self.of.name).finish_non_exhaustive()
    }
}
