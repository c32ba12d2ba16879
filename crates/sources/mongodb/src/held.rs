//! Files for a driver that takes certificates from nowhere else. On Linux they are in memory: a container may have no
//! place to write to, and a key should not come to lie on a disk.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// A file that is there as long as this is.
#[derive(Debug)]
pub(crate) struct Held {
    #[cfg(target_os = "linux")]
    file: File,
    #[cfg(not(target_os = "linux"))]
    file: tempfile::NamedTempFile,
}

impl Held {
    #[cfg(target_os = "linux")]
    fn empty() -> io::Result<File> {
        let file = rustix::fs::memfd_create("polylog-certificate", rustix::fs::MemfdFlags::CLOEXEC)?;
        Ok(File::from(file))
    }

    #[cfg(not(target_os = "linux"))]
    fn empty() -> io::Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new()
    }

    pub(crate) fn new(content: &[u8]) -> io::Result<Self> {
        let mut file = Self::empty()?;
        file.write_all(content)?;
        Ok(Self { file })
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }
}
