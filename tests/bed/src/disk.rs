//! A small disk: a tmpfs that a server alone sees, from its first start until it is gone. It can be filled.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Its folder, in the server's.
pub(crate) const SMALL: &str = "small";

/// What is mounted as [`SMALL`].
pub(crate) struct SmallDisk {
    pub(crate) megabytes: usize,
    /// Shell commands that are run in the server's folder before the first start, and put onto the disk what belongs there.
    pub(crate) prepare: &'static str,
}

impl SmallDisk {
    /// A command in a mount namespace of its own, which has the disk; it belongs to the user.
    pub(crate) fn around(&self, folder: &Path, user: &str, command: Vec<String>) -> Vec<String> {
        fs::create_dir(folder.join(SMALL)).expect("a folder");
        let user_id = rustix::process::geteuid();
        let (namespace, owner): (&[&str], _) = if user_id.is_root() {
            (&["-m"], user.to_owned())
        } else {
            (&["-m", "--map-current-user", "--keep-caps"], user_id.as_raw().to_string())
        };
        let script = "mount -t tmpfs -o \"size=$2m,mode=0700\" none \"$1/small\" && (cd \"$1\" && eval \"$4\") && \
             chown -R \"$3\" \"$1/small\" && shift 4 && exec \"$@\"";
        let arguments = [folder.to_string_lossy().into_owned(), self.megabytes.to_string(), owner];
        let words =
            ["unshare"].into_iter().chain(namespace.iter().copied()).chain(["sh", "-c", script, "sh"]);
        let words = words.map(String::from).chain(arguments).chain([self.prepare.to_owned()]);
        words.chain(command).collect()
    }
}

/// Takes all the room that is left on the small disk of a server, whose supervisor has this number.
pub(crate) fn fill(supervisor: u32, folder: &Path) {
    let mut file = File::create(ballast(supervisor, folder)).expect("a file on the disk");
    loop {
        match file.write_all(&[0; 4096]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => panic!("the disk cannot be filled: {error}"),
        }
    }
}

/// Gives it back.
pub(crate) fn free(supervisor: u32, folder: &Path) {
    fs::remove_file(ballast(supervisor, folder)).expect("it was filled");
}

/// As the supervisor sees the disk.
fn ballast(supervisor: u32, folder: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{supervisor}/root"));
    root.join(folder.strip_prefix("/").unwrap_or(folder)).join(SMALL).join("ballast")
}
