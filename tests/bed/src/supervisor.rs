use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use crate::disk::{self, SmallDisk};

/// The process that runs a server and ends it when the pipe to the test process ends.
pub(crate) struct Supervisor {
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    child: Mutex<Child>,
    number: u32,
    folder: PathBuf,
}

/// How a server behaves.
pub(crate) struct Habits {
    /// What its file of the number has in a line when it is ready, for grep.
    pub(crate) ready: &'static str,
    /// The signal that ends it in order.
    pub(crate) stop: &'static str,
    /// The signal that ends it when nothing of it is needed any more.
    pub(crate) end: &'static str,
}

impl Supervisor {
    /// For a server that writes its number into the first line of the file `ready`.
    pub(crate) fn new(folder: &Path, log: &Path, ready: &Path, habits: Habits, server: &[String]) -> Self {
        Self::on_disk(None, folder, log, ready, habits, server)
    }

    /// The same, perhaps for one that has a small disk as this user.
    pub(crate) fn on_disk(
        disk: Option<(&SmallDisk, &str)>,
        folder: &Path,
        log: &Path,
        ready: &Path,
        habits: Habits,
        server: &[String],
    ) -> Self {
        let paths = [folder, log, ready].map(|path| path.to_string_lossy().into_owned());
        let words = ["sh", "-c", include_str!("supervisor.sh"), "supervisor.sh"].map(String::from);
        let habits = [habits.ready, habits.stop, habits.end].map(String::from);
        let command = words.into_iter().chain(paths).chain(habits).chain(server.iter().cloned()).collect();
        let command: Vec<String> = match disk {
            Some((disk, user)) => disk.around(folder, user, command),
            None => command,
        };
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stdin = child.stdin.take().expect("its input is a pipe");
        let stdout = child.stdout.take().expect("its output is a pipe");
        let number = child.id();
        let pipes = Mutex::new((stdin, BufReader::new(stdout)));
        Self { pipes, child: Mutex::new(child), number, folder: folder.to_owned() }
    }

    /// Leaves no room on the small disk, or gives back what was taken.
    pub(crate) fn fill_disk(&self, is_full: bool) {
        if is_full { disk::fill(self.number, &self.folder) } else { disk::free(self.number, &self.folder) }
    }

    /// Gives a command and waits for its end; `false` when it failed.
    pub(crate) fn order(&self, command: &str) -> bool {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "{command}").expect("the supervisor listens");
        let mut answer = String::new();
        pipes.1.read_line(&mut answer).expect("the supervisor answers");
        answer.trim_end() == "done"
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // it ends when its input does; a pipe cannot be closed behind a reference, so it is replaced by the end itself
        let pipes = self.pipes.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(pipes.0, "end");
        let _ = child.wait();
    }
}
