//! A disk that is slower than it is: a library, loaded before others into a process and every one that it starts, makes
//! each fsync and fdatasync take longer.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("slow_fsync.c");

/// The library.
pub struct SlowDisk {
    folder: tempfile::TempDir,
}

impl SlowDisk {
    /// Compiles it.
    pub fn compile() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // database servers run as another user where this is run as root
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let source = folder.path().join("slow_fsync.c");
        std::fs::write(&source, SOURCE)?;
        let library = library(folder.path());
        let compiled =
            Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(library).arg(source).status();
        ensure!(compiled.context("a C compiler")?.success(), "cc");
        Ok(Self { folder })
    }

    /// Lets a command have it.
    pub fn slow_down(&self, command: &mut Command, milliseconds: f64) {
        command
            .env("LD_PRELOAD", library(self.folder.path()))
            .env("POLYLOG_SLOW_FSYNC_MICROSECONDS", (milliseconds * 1_000.0).round().to_string());
    }
}

fn library(folder: &Path) -> std::path::PathBuf {
    folder.join("slow_fsync.so")
}
