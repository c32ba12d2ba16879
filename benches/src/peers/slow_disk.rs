//! A disk that is slower than it is: a library, loaded before others into every process that this one starts, makes each
//! fsync and fdatasync take longer.

use std::{os::unix::fs::PermissionsExt, process::Command};

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("slow_fsync.c");
const LIBRARY: &str = "LD_PRELOAD";
const MICROSECONDS: &str = "POLYLOG_SLOW_FSYNC_MICROSECONDS";

/// Whether this process has to be started again, with the library.
pub fn is_needed(milliseconds: f64) -> bool {
    milliseconds > 0.0 && std::env::var_os(MICROSECONDS).is_none()
}

/// Compiles the library and starts this very command with it.
pub fn run_again(milliseconds: f64) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("polylog-slow-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    // PostgreSQL runs as another user where this is run as root
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    let (source, library) = (folder.join("slow_fsync.c"), folder.join("slow_fsync.so"));
    std::fs::write(&source, SOURCE)?;
    let compiled =
        Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    ensure!(compiled.context("a C compiler")?.success(), "cc");
    let status = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(LIBRARY, &library)
        .env(MICROSECONDS, (milliseconds * 1_000.0).round().to_string())
        .status()?;
    std::fs::remove_dir_all(&folder)?;
    ensure!(status.success(), "{status}");
    Ok(())
}
