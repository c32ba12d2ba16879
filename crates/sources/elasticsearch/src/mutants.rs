//! Faults that a careless change would bring in, to prove that tests notice them. Without the feature `mutants` there are
//! none.

#[cfg(feature = "mutants")]
pub use real::{Mutant, OldPrimary, SlowWriter, repeat_next_swap, switch};

#[cfg(feature = "mutants")]
pub(crate) use real::{believed, is_believed, is_on, is_repeated};

#[cfg(not(feature = "mutants"))]
pub(crate) use absent::{Mutant, believed, is_believed, is_on, is_repeated};

#[cfg(not(feature = "mutants"))]
mod absent {
    use crate::{connection::Handle, document::HeadDocument};

    /// See the feature.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Mutant {
        InsertIfAbsent,
        BlindUpsert,
        FenceByTerm,
        NoWaitForWriteOut,
        NoCutsRead,
        UnresolvedSwap,
        ConflictIsRefusal,
        BulkItemsIgnored,
        LookupBelieved,
        HeadsBelieved,
        NoRefresh,
        SearchBeyondVisible,
        GapsBelieved,
    }

    pub(crate) const fn is_on(_: Mutant) -> bool {
        false
    }

    pub(crate) const fn believed(_: &Handle) -> Option<HeadDocument> {
        None
    }

    pub(crate) const fn is_believed(_: &Handle, _: &HeadDocument) -> bool {
        false
    }

    pub(crate) const fn is_repeated() -> bool {
        false
    }
}

#[cfg(feature = "mutants")]
mod real {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    };

    use polylog_log::Failure;

    use crate::{ElasticsearchSource, connection::Handle, document::HeadDocument};

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
        /// A swap without an answer is taken for one that did not take place.
        UnresolvedSwap,
        /// A conflict is taken for a swap that did not take place, although it may be with the swap itself.
        ConflictIsRefusal,
        /// The outcomes of the single documents of a request are not looked at.
        BulkItemsIgnored,
        /// What the lookups tell is believed without the event.
        LookupBelieved,
        /// What a server tells of the head is believed without a write that proves it.
        HeadsBelieved,
        /// A search takes the index for up to date.
        NoRefresh,
        /// A search looks beyond what may be shown.
        SearchBeyondVisible,
        /// A search takes it that the index knows enough of every event.
        GapsBelieved,
    }

    static ACTIVE: AtomicU8 = AtomicU8::new(0);
    static REPEATED: AtomicBool = AtomicBool::new(false);

    /// From now on this process has the fault, or none.
    pub fn switch(mutant: Option<Mutant>) {
        ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Release);
    }

    pub(crate) fn is_on(mutant: Mutant) -> bool {
        ACTIVE.load(Ordering::Acquire) == mutant as u8
    }

    /// The next swap of a head is sent twice, and the second answer is heard: a cluster does this by itself when it
    /// repeats a write whose shard has moved.
    pub fn repeat_next_swap() {
        REPEATED.store(true, Ordering::Release);
    }

    pub(crate) fn is_repeated() -> bool {
        REPEATED.swap(false, Ordering::AcqRel)
    }

    /// A server that lost its cluster and does not know it yet: it answers reads of the head from what it alone was told to
    /// write, and no write through it is acknowledged.
    pub struct OldPrimary {
        head: Kept,
    }

    /// What such a server alone was told to write, once it was.
    type Kept = Arc<Mutex<Option<HeadDocument>>>;

    /// Which handles reach only such a server.
    static OLD: Mutex<Vec<(usize, Kept)>> = Mutex::new(Vec::new());

    impl OldPrimary {
        /// The next swap of this source's head stays with the server alone.
        pub fn keeps_the_next_swap_of(source: &ElasticsearchSource) -> Self {
            let old = Self { head: Arc::default() };
            old.is_all_that_is_reached_by(source);
            old
        }

        /// From now on this source reads the head there.
        pub fn is_all_that_is_reached_by(&self, source: &ElasticsearchSource) {
            let handle = std::ptr::from_ref(&*source.handle) as usize;
            OLD.lock().expect("a test that goes on").push((handle, self.head.clone()));
        }
    }

    impl Drop for OldPrimary {
        fn drop(&mut self) {
            OLD.lock().expect("a test that goes on").retain(|(_, head)| !Arc::ptr_eq(head, &self.head));
        }
    }

    fn old_primary_of(handle: &Handle) -> Option<Kept> {
        let (handle, old) = (std::ptr::from_ref(handle) as usize, OLD.lock().expect("a test that goes on"));
        old.iter().find(|(of, _)| *of == handle).map(|(_, head)| head.clone())
    }

    pub(crate) fn believed(handle: &Handle) -> Option<HeadDocument> {
        old_primary_of(handle)?.lock().expect("a test that goes on").clone()
    }

    pub(crate) fn is_believed(handle: &Handle, document: &HeadDocument) -> bool {
        let Some(head) = old_primary_of(handle) else { return false };
        let mut head = head.lock().expect("a test that goes on");
        let is_new = head.is_none();
        if is_new {
            *head = Some(document.clone());
        }
        is_new
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
        pub async fn new(source: &ElasticsearchSource) -> Result<Self, Failure> {
            let handle = source.handle.clone();
            let head = handle.head_document().await.map_err(|error| error.failure())?.document;
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
