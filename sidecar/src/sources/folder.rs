use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use polylog_log::LogId;
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::SourceError;

/// The folder of one store; no other process can claim it while this lives.
#[derive(Debug)]
pub struct StoreFolder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl StoreFolder {
    /// Makes the folder if it is missing, and claims it.
    pub fn claim(path: PathBuf) -> Result<Self, SourceError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| SourceError::Io { path, error }
        };
        fs::create_dir_all(&path).map_err(failed(&path))?;
        let lock_path = path.join("lock");
        let mut options = File::options();
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut by = String::new();
            // only for the message: without it the error is still true
            let _ = lock.read_to_string(&mut by);
            let by = if by.trim().is_empty() { by } else { format!(" (process {})", by.trim()) };
            return Err(SourceError::InUse { path, by });
        }
        lock.set_len(0).map_err(failed(&lock_path))?;
        writeln!(lock, "{}", std::process::id()).map_err(failed(&lock_path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Writes down whose log the folder belongs to.
    pub(super) fn remember(&self, log: LogId) -> Result<(), SourceError> {
        let path = self.path.join("store-id");
        let whole_or_absent = || {
            let draft = self.path.join("store-id.new");
            let mut file = File::create(&draft)?;
            writeln!(file, "{log}")?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        whole_or_absent().map_err(|error| SourceError::Io { path: path.clone(), error })
    }
}

/// The log that a store's folder belongs to, if one was ever provisioned there.
pub(super) fn known_log(folder: &Path) -> Result<Option<LogId>, SourceError> {
    let path = folder.join("store-id");
    match fs::read_to_string(&path) {
        Ok(text) => match Uuid::try_parse(text.trim()) {
            Ok(id) => Ok(Some(LogId::new(id))),
            Err(error) => {
                Err(SourceError::Io { path, error: io::Error::new(io::ErrorKind::InvalidData, error) })
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SourceError::Io { path, error }),
    }
}
