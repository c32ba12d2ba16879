use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Deeper folders are none of the layout's.
const DEEPEST: usize = 6;
/// A ConfigMap and a Secret hold 1 MiB each, and a process has a few of them.
const MOST_BYTES: u64 = 32 << 20;
const MOST_FILES: usize = 10_000;

/// The files below a folder by their path in it. Never shown: some are secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Files(pub(super) BTreeMap<PathBuf, Vec<u8>>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why the folder cannot be read. Correct the mount; it is read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A file or folder is not there or may not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It holds more than a configuration has.
    #[error("{} holds more than {MOST_FILES} files or {MOST_BYTES} bytes: this is no configuration", .0.display())]
    TooLarge(PathBuf),
}

impl Unreadable {
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }
}

impl Files {
    /// Reads everything below `root`. Names that begin with a dot are left out: among them are those of the folders
    /// that the kubelet swaps, whose files appear under their proper names too.
    pub(super) fn read(root: &Path) -> Result<Self, Unreadable> {
        let mut files = Self::default();
        let mut left = MOST_BYTES;
        files.folder(root, root, 0, &mut left)?;
        Ok(files)
    }

    fn folder(&mut self, root: &Path, at: &Path, depth: usize, left: &mut u64) -> Result<(), Unreadable> {
        let failed = |error| Unreadable::io(at, &error);
        for entry in fs::read_dir(at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            // follows links, of which a mounted folder is full
            let found = fs::metadata(&path).map_err(|error| Unreadable::io(&path, &error))?;
            if found.is_dir() {
                if depth < DEEPEST {
                    self.folder(root, &path, depth + 1, left)?;
                }
                continue;
            }
            let too_large = || Unreadable::TooLarge(root.to_owned());
            *left = left.checked_sub(found.len()).ok_or_else(too_large)?;
            if self.0.len() >= MOST_FILES {
                return Err(too_large());
            }
            let content = fs::read(&path).map_err(|error| Unreadable::io(&path, &error))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            self.0.insert(name, content);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_volume_of_the_kubelet_is_read_once_under_its_proper_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("..2026/sources/ledger")).expect("a folder");
        fs::write(root.join("..2026/sources/ledger/url"), "postgres://geheim").expect("a file");
        symlink("..2026", root.join("..data")).expect("a link");
        symlink("..data/sources", root.join("sources")).expect("a link");
        let files = Files::read(root).expect("readable");
        assert_eq!(files.0.keys().collect::<Vec<_>>(), [Path::new("sources/ledger/url")]);
        assert!(!format!("{files:?}").contains("geheim"));
        symlink("nothing", root.join("lost")).expect("a link");
        assert!(Files::read(root).is_err_and(|error| error.to_string().contains("lost")));
    }
}
