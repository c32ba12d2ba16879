//! A log over several sources, for real: the task that carries out what [`crate::quorum`] decides, and what others see of it.

mod answered;
mod begin;
pub(crate) mod call;
mod driver;
mod duties;
mod handle;
mod lag;
mod quarantined;
mod replay;
mod view;

use std::sync::Arc;

use polylog_log::{Identity, Member, Source, SourceName};

pub(crate) use answered::Answered;
pub(crate) use begin::{begin, check_members, heads_of};
pub(crate) use driver::{Driver, DriverOptions};
pub use duties::Duties;
pub(crate) use duties::share_duties;
pub(crate) use handle::{Handle, Kept};
pub(crate) use quarantined::{SetAside, count_quarantined};
pub(crate) use replay::replay;
pub(crate) use view::{Behind, Place, Replicated, View};

/// One of the sources of a log.
#[derive(Clone)]
pub struct Replica {
    /// Its name in the manifests.
    pub name: SourceName,
    /// Its connection. It need not answer at the moment.
    pub source: Arc<dyn Source>,
    /// What was provisioned there.
    pub identity: Identity,
}

impl Replica {
    pub(crate) fn member(&self) -> Member {
        let Identity { database, incarnation, .. } = self.identity;
        Member { name: self.name.clone(), database, incarnation }
    }
}
