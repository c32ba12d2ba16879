//! Reading manifests from text.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;

use polylog_crds::manifests::{self, Manifests, ReadError};

/// The manifests in these files.
pub(crate) fn read_files(files: &[(&str, &str)]) -> Result<Manifests, ReadError> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    manifests::read(folder.path())
}

/// The manifests in one YAML text, which must be right.
pub(crate) fn read_text(text: &str) -> Manifests {
    read_files(&[("manifests.yaml", text)]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is wrong with these files, without the folder's name.
pub(crate) fn problems_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    match manifests::read(folder.path()) {
        Ok(_) => Vec::new(),
        Err(ReadError::Invalid(problems)) => {
            let prefix = format!("{}/", folder.path().display());
            problems.0.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
        }
        Err(error @ ReadError::Io { .. }) => panic!("{error}"),
    }
}

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the repository")
}
