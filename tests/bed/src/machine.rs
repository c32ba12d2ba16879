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

/// The folder of the small disk, and a folder on it that is there when the server starts.
pub(crate) const SMALL: &str = "small";
pub(crate) const ON_SMALL: &str = "small/database";

/// The server in a mount namespace of its own, which has the small disk.
pub(crate) fn on_disk(
    user: &str,
    folder: &Path,
    megabytes: Option<usize>,
    server: Vec<String>,
) -> Vec<String> {
    let Some(megabytes) = megabytes else { return server };
    let disk = folder.join(SMALL);
    fs::create_dir(&disk).expect("a folder");
    let is_root = rustix::process::geteuid().is_root();
    let script = "mount -t tmpfs -o size=$2m,mode=0700 none \"$1\" && [ \"$4\" = - ] || mkdir -m 700 \"$1/$4\" && \
         chown -R \"$3\" \"$1\" && shift 4 && exec \"$@\"";
    let owner = if is_root { user.to_owned() } else { rustix::process::geteuid().as_raw().to_string() };
    let namespace: &[&str] = if is_root { &["-m"] } else { &["-m", "--map-current-user", "--keep-caps"] };
    let mut command = vec!["unshare".to_owned()];
    command.extend(namespace.iter().map(|argument| (*argument).to_owned()));
    command.extend(["sh", "-c", script, "sh"].map(String::from));
    let on_small = if user == "mysql" { "database" } else { "-" };
    command.extend([disk.to_string_lossy().into_owned(), megabytes.to_string(), owner, on_small.into()]);
    command.extend(server);
    command
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
