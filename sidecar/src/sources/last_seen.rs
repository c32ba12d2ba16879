//! How far a store's log had come when `polylog dev` last saw it: so that a start on a database that was restored from an
//! older copy is noticed before anything is appended to it.

use std::{fs, io, path::PathBuf, time::Duration};

use polylog_log::{Chain, Failure, Point, Position, Source};
use polylog_replication::Store;
use serde::{Deserialize, Serialize};

use super::StoreFolder;

/// How often it is written down. What a process that was killed has seen in between is not known at the next start.
const EVERY: Duration = Duration::from_secs(1);

/// The file in a store's folder.
#[derive(Debug, Clone)]
pub struct LastSeen {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Recorded {
    position: u64,
    chain: String,
}

impl LastSeen {
    /// That of a store.
    pub fn of(folder: &StoreFolder) -> Self {
        Self { path: folder.path.join("last-seen.json") }
    }

    /// Checks that a source holds what was seen.
    ///
    /// # Errors
    /// `WrongStore` when it does not; `Unreachable` also when the file cannot be read.
    pub async fn check(&self, source: &dyn Source) -> Result<(), Failure> {
        let Some(recorded) = self.read().map_err(|error| self.unreadable(&error))? else { return Ok(()) };
        let position = Position::new(recorded.position);
        if position.is_zero() {
            return Ok(());
        }
        let found = source.digests(position..=position).await?.chain.map(text);
        if found.as_ref() == Some(&recorded.chain) {
            return Ok(());
        }
        let tail = source.head().await?.tail.position;
        Err(Failure::WrongStore(format!(
            "the log went back: this folder last saw it at position {position}, and it ends at {tail} or holds another \
             history there; it was restored from an older copy, or failed over to a server that lagged. Nothing was \
             written: bring back what is missing, or, to go on from here without it, remove {} and start again",
            self.path.display()
        )))
    }

    /// Writes down how far a store has come, once a second, until it is dropped.
    pub async fn keep(self, store: Store) {
        let mut written = None;
        loop {
            let tail = store.tail();
            if written != Some(tail) {
                self.write(tail);
                written = Some(tail);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Writes down where the log ended.
    pub fn write(&self, tail: Point) {
        let recorded = Recorded { position: tail.position.get(), chain: text(tail.chain) };
        if let Err(error) = self.replace(&recorded) {
            // the log is not harmed: only a restored copy would not be noticed
            tracing::warn!(
                event = "log_place_unwritten",
                file = %self.path.display(),
                %error,
                "how far the log came is not written down"
            );
        }
    }

    fn replace(&self, recorded: &Recorded) -> io::Result<()> {
        let draft = self.path.with_extension("new");
        fs::write(&draft, serde_json::to_vec(recorded)?)?;
        fs::rename(&draft, &self.path)
    }

    fn read(&self) -> io::Result<Option<Recorded>> {
        match fs::read(&self.path) {
            Ok(content) => Ok(Some(serde_json::from_slice(&content)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::Unreachable(format!("{}: {error}; remove it if it is damaged", self.path.display()))
    }
}

fn text(chain: Chain) -> String {
    chain.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
