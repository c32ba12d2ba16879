//! What the tests of this engine share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use polylog_log::{Failure, Identity, Source, StepClass};
use polylog_source_sqlite::{
    SqliteConfig, SqliteSource,
    provision::{self, Approval},
};
pub(crate) use polylog_test_bed::acts::{
    append, check_log, child, commit, desired, event, identity, lead, stream, task, write,
};

/// A file in a folder of its own.
pub(crate) struct Store {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) identity: Identity,
}

impl Store {
    /// Provisioned and empty.
    pub(crate) fn new() -> Self {
        Self::of(identity(1))
    }

    pub(crate) fn of(identity: Identity) -> Self {
        let store = Self { folder: tempfile::tempdir().expect("a folder"), identity };
        store.provision();
        store
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    pub(crate) fn provision(&self) {
        provision(&self.path(), self.identity).expect("a provisioned file");
    }

    pub(crate) async fn open(&self) -> SqliteSource {
        SqliteSource::open(SqliteConfig::new(self.path())).await.expect("an open source")
    }

    /// Opened, and primary of term 1.
    pub(crate) async fn primary(&self) -> SqliteSource {
        let source = self.open().await;
        lead(&source, &self.identity, 1).await;
        source
    }
}

/// Everything but destructive steps.
pub(crate) fn provision(path: &Path, identity: Identity) -> Result<provision::Applied, Failure> {
    let actual = provision::inspect(path)?;
    let plan = provision::plan(&desired(identity), &actual)?;
    provision::apply(path, &plan, &Approval::up_to(StepClass::Slow))
}

#[async_trait]
impl polylog_test_bed::Place for Store {
    fn identity(&self) -> Identity {
        self.identity
    }

    async fn open(&self) -> Arc<dyn Source> {
        Arc::new(Store::open(self).await)
    }

    fn locator(&self) -> String {
        self.path().to_string_lossy().into_owned()
    }
}
