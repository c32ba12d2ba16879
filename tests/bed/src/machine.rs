//! What every server needs of the machine.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A command as another user, if we are root: database servers refuse to run as root.
pub(crate) fn as_user(user: &str, command: Vec<String>) -> Vec<String> {
    if !rustix::process::geteuid().is_root() {
        return command;
    }
    let drop = [
        "setpriv".into(),
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".into(),
        "--".into(),
    ];
    drop.into_iter().chain(command).collect()
}

/// Makes a file or folder, with everything in it, the user's, if we are root.
pub(crate) fn give_to(user: &str, path: &Path) {
    if rustix::process::geteuid().is_root() {
        let done = Command::new("chown").args(["-R", user]).arg(path).status().expect("chown");
        assert!(done.success(), "there is no user {user} to run the server as");
    }
}

/// Writes a file that only the user can read.
pub(crate) fn write_file(user: &str, path: &Path, content: &str) -> PathBuf {
    fs::write(path, content).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its permissions");
    give_to(user, path);
    path.to_owned()
}

/// A TCP port of loopback that nobody uses.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// What a server said last.
pub(crate) fn end_of_log(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
