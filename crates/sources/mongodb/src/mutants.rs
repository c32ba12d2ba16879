//! Faults that a careless change would bring in, to prove that tests notice them. Without the feature `mutants` there are
//! none.

#[cfg(feature = "mutants")]
pub use real::{Mutant, SlowWriter, switch};

#[cfg(feature = "mutants")]
pub(crate) use real::is_on;

#[cfg(not(feature = "mutants"))]
pub(crate) use absent::{Mutant, is_on};

#[cfg(not(feature = "mutants"))]
mod absent {
    /// See the feature.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Mutant {
        InsertIfAbsent,
        BlindUpsert,
        FenceByTerm,
        NoWaitForWriteOut,
        NoCutsRead,
        BlindSwap,
        UnresolvedSwap,
    }

    pub(crate) const fn is_on(_: Mutant) -> bool {
        false
    }
}

#[cfg(feature = "mutants")]
mod real {
    use std::sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    };

    use polylog_log::Failure;

    use crate::{MongodbSource, connection::Handle, head::HeadDocument};

    /// A fault.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(u8)]
    pub enum Mutant {
        /// Event documents that are there are left as they are.
        InsertIfAbsent = 1,
        /// Event documents are overwritten by whoever comes.
        BlindUpsert,
        /// Event documents are fenced by the head's term.
        FenceByTerm,
        /// The next swap of the head does not wait until the batch before is written out.
        NoWaitForWriteOut,
        /// A page is not read again when a truncation came meanwhile.
        NoCutsRead,
        /// The swap of the head does not compare.
        BlindSwap,
        /// A swap without an answer is taken for one that did not take place.
        UnresolvedSwap,
    }

    static ACTIVE: AtomicU8 = AtomicU8::new(0);

    /// From now on this process has the fault, or none.
    pub fn switch(mutant: Option<Mutant>) {
        ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Release);
    }

    pub(crate) fn is_on(mutant: Mutant) -> bool {
        ACTIVE.load(Ordering::Acquire) == mutant as u8
    }

    /// Somebody who has read the head, and gets to writing its batch out only later.
    pub struct SlowWriter {
        handle: Arc<Handle>,
        head: HeadDocument,
    }

    impl SlowWriter {
        /// Reads the head.
        ///
        /// # Errors
        /// It cannot be read.
        pub async fn new(source: &MongodbSource) -> Result<Self, Failure> {
            let handle = source.handle.clone();
            let head = handle.head_document().await.map_err(|error| error.failure())?;
            Ok(Self { handle, head })
        }

        /// Writes out what it read; `false` = it noticed that it is late.
        ///
        /// # Errors
        /// It cannot be written.
        pub async fn write_out(self) -> Result<bool, Failure> {
            self.handle.write_out(&self.head).await.map_err(|error| error.failure())
        }
    }
}
