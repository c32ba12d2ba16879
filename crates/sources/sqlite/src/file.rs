//! The database file as the operating system sees it: looked at before SQLite is, for clearer answers than it gives.
//!
//! Nothing here opens the file: closing any descriptor of it would take away the POSIX locks that SQLite holds on it in
//! this process.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use polylog_log::{Failure, RefusedReason};
use rustix::fs::{Access, access};

/// Which file a path led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that is there now, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing; its folder exists.
    Nothing,
    /// A file that may be read and written.
    File,
}

/// Looks at a path: the file, its folder, their rights and their file system.
pub(crate) fn look(path: &Path) -> Result<Found, Failure> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    check_file_system(folder)?;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_access(folder)?;
            Ok(Found::Nothing)
        }
        Err(error) => Err(unusable(path, &error)),
        Ok(found) if !found.is_file() => {
            Err(Failure::WrongStore(format!("{} is not a file", path.display())))
        }
        Ok(_) => {
            check_access(path)?;
            // the write-ahead log is made and removed beside the file
            check_access(folder)?;
            check_file_system(path)?;
            Ok(Found::File)
        }
    }
}

fn check_access(path: &Path) -> Result<(), Failure> {
    access(path, Access::READ_OK | Access::WRITE_OK).map_err(|error| unusable(path, &error.into()))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Failure::Refused { reason: RefusedReason::ReadOnly, message },
        io::ErrorKind::PermissionDenied => Failure::Refused { reason: RefusedReason::Rights, message },
        io::ErrorKind::NotFound => Failure::NotProvisioned(message),
        _ => Failure::Unreachable(message),
    }
}

/// Refuses file systems on which locks or the shared memory of the write-ahead log do not reach every process.
#[cfg(target_os = "linux")]
fn check_file_system(path: &Path) -> Result<(), Failure> {
    let found = rustix::fs::statfs(path).map_err(|error| unusable(path, &error.into()))?;
    // the kernel's numbers have 32 bits; their type differs between architectures
    let magic = found.f_type as u32;
    network_file_system(magic).map_or(Ok(()), |name| {
        let message = format!(
            "{} is on a network file system ({name}): SQLite's locks and write-ahead log need a local one",
            path.display()
        );
        Err(Failure::Unreachable(message))
    })
}

/// Only Linux tells the kind of a file system by number.
#[cfg(not(target_os = "linux"))]
fn check_file_system(_: &Path) -> Result<(), Failure> {
    Ok(())
}

/// The name of a network file system by its number in statfs(2) and linux/magic.h.
#[cfg(target_os = "linux")]
fn network_file_system(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9P",
        0x00c3_6400 => "Ceph",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564c => "NCP",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x786f_4256 => "VirtualBox",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        for network in [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997] {
            assert!(network_file_system(network).is_some(), "{network:x}");
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS, F2FS
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010] {
            assert_eq!(network_file_system(local), None, "{local:x}");
        }
    }
}
