//! SQLite keeps the contract of a source.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use polylog_log::{
    FailPoints, Identity, Position, Source, SourceName, StepClass,
    conformance::{self, Damage, Database, Harness, Processes, Violation, run_all},
};
use polylog_source_sqlite::{
    POINTS, SqliteConfig, SqliteSource,
    provision::{self, Actual, Approval, Desired, IndexOptions},
};
use rusqlite::Connection;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    let report = run_all(Arc::new(Files)).await;
    println!("{report}");
    assert!(report.is_ok(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let open = async |path: String, _| {
        let source = SqliteSource::open(patient(path)).await.map_err(Violation::from)?;
        Ok(Arc::new(source) as Arc<dyn Source>)
    };
    conformance::child(open).await.expect("the writer's work");
}

/// A disk that other tests keep busy breaks no rule of the contract.
fn patient(path: impl Into<PathBuf>) -> SqliteConfig {
    SqliteConfig { busy_timeout: Duration::from_secs(60), ..SqliteConfig::new(path) }
}

/// Makes files, each in a folder of its own.
struct Files;

#[async_trait]
impl Harness for Files {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let folder = tempfile::tempdir().map_err(Violation::new)?;
        let file = File {
            folder,
            lives: AtomicU32::new(1),
            handles: Mutex::default(),
            fail_points: FailPoints::new(POINTS),
        };
        let desired = Desired { identity, source: voter, indexes: IndexOptions::default() };
        let plan = provision::plan(&desired, &Actual::Absent).map_err(Violation::from)?;
        provision::apply(&file.path(), &plan, &Approval::up_to(StepClass::Additive))
            .map_err(Violation::from)?;
        Ok(Box::new(file))
    }
}

struct File {
    folder: tempfile::TempDir,
    lives: AtomicU32,
    handles: Mutex<Vec<Weak<SqliteSource>>>,
    fail_points: FailPoints,
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("life-{}.db", self.lives.load(Ordering::Relaxed)))
    }

    fn take_handles(&self) -> Vec<Weak<SqliteSource>> {
        std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Database for File {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        let config = SqliteConfig { fail_points: self.fail_points.clone(), ..patient(self.path()) };
        let source = Arc::new(SqliteSource::open(config).await.map_err(Violation::from)?);
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&source));
        Ok(source)
    }

    /// What a crash leaves are the file and the write-ahead log as they stand, without a last checkpoint.
    async fn crash(&self) -> Result<(), Violation> {
        let before = self.path();
        // while this connection stands, no other one is the last, which would tidy up
        let keeper = Connection::open(&before).map_err(Violation::new)?;
        keeper.query_row("SELECT count(*) FROM polylog_head", [], |_| Ok(())).map_err(Violation::new)?;
        for handle in self.take_handles().iter().filter_map(Weak::upgrade) {
            handle.close().await;
        }
        self.lives.fetch_add(1, Ordering::Relaxed);
        let after = self.path();
        fs::copy(&before, &after).map_err(Violation::new)?;
        fs::copy(wal(&before), wal(&after)).map_err(Violation::new)?;
        Ok(())
    }

    async fn damage(&self, position: Position, damage: Damage) -> Result<bool, Violation> {
        let file = Connection::open(self.path()).map_err(Violation::new)?;
        file.busy_timeout(Duration::from_secs(60)).map_err(Violation::new)?;
        let at = position.get().cast_signed();
        let done = match damage {
            Damage::Remove => file.execute("DELETE FROM polylog_events WHERE position = ?1", [at]),
            Damage::Replace { data, data_digest, digest } => file.execute(
                "UPDATE polylog_events SET data = ?1, data_digest = ?2, digest = ?3 WHERE position = ?4",
                rusqlite::params![data, data_digest.as_bytes(), digest.as_bytes(), at],
            ),
        };
        done.map_err(Violation::new)?;
        Ok(true)
    }

    fn fail_points(&self) -> FailPoints {
        self.fail_points.clone()
    }

    fn processes(&self) -> Option<Processes> {
        Some(Processes { child_test: "child", locator: self.path().to_string_lossy().into_owned() })
    }
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
