use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::{Caller, InvalidToken, Layout, Unreadable, files::Files, token::caller};

/// How often the folders are read.
const EVERY: Duration = Duration::from_secs(2);
/// A change counts once two readings in a row, this far apart, are equal: a folder is not swapped between its files then,
/// and a file is not half written.
const SETTLE: Duration = Duration::from_millis(50);
/// Readings of a folder that changes all the time.
const LONGEST_SETTLE: usize = 40;

/// What stands in the mounted folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) layout: Result<Layout, Unreadable>,
    pub(crate) caller: Result<Caller, InvalidToken>,
}

/// Reads the folders every two seconds, and when asked to; ends when dropped.
pub(crate) struct Watch {
    pub(crate) seen: watch::Receiver<Arc<Reading>>,
    pub(crate) refresh: Refresh,
    task: JoinHandle<()>,
}

/// Has the folders read at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refresh(Arc<Notify>);

impl Refresh {
    /// Asks for it; several who ask at the same time are one.
    pub(crate) fn ask(&self) {
        self.0.notify_one();
    }
}

impl Watch {
    /// Reads the folder of the configuration and the token, and goes on doing so.
    pub(crate) async fn start(root: PathBuf, token: PathBuf) -> Self {
        let places = Places { root, token };
        let (first, mut last) = places.clone().settled().await;
        let (sender, seen) = watch::channel(Arc::new(first));
        let refresh = Refresh::default();
        let asked = refresh.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = asked.0.notified() => {}
                    () = sender.closed() => return,
                }
                if places.clone().read().await == last {
                    continue;
                }
                let (reading, raw) = places.clone().settled().await;
                last = raw;
                sender.send_if_modified(|known| {
                    let is_new = **known != reading;
                    if is_new {
                        *known = Arc::new(reading);
                    }
                    is_new
                });
            }
        });
        Self { seen, refresh, task }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Raw = (Result<Files, Unreadable>, Result<Caller, InvalidToken>);

#[derive(Clone)]
struct Places {
    root: PathBuf,
    token: PathBuf,
}

impl Places {
    async fn read(self) -> Raw {
        let Self { root, token } = self;
        let shown = root.clone();
        let read = tokio::task::spawn_blocking(move || (Files::read(&root), caller(&token)));
        read.await.unwrap_or_else(|error| {
            let error = Unreadable::Io { path: shown, reason: error.to_string() };
            (Err(error), Err(InvalidToken::Form("the reader ended".into())))
        })
    }

    async fn settled(self) -> (Reading, Raw) {
        let mut raw = self.clone().read().await;
        for _ in 0..LONGEST_SETTLE {
            tokio::time::sleep(SETTLE).await;
            let again = self.clone().read().await;
            let is_same = again == raw;
            raw = again;
            if is_same {
                break;
            }
        }
        let (files, caller) = raw.clone();
        (Reading { layout: files.map(|files| Layout::of(&files)), caller }, raw)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;
    use crate::mounted::Place;

    fn swap(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).join("store")).expect("a folder");
        fs::write(root.join(name).join("store/eventstore.yaml"), text).expect("a file");
        symlink(name, root.join("..data_tmp")).expect("a link");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("a swap");
    }

    #[tokio::test]
    async fn a_swapped_folder_and_a_plain_file_are_both_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        swap(root, "..1", "one");
        symlink("..data/store", root.join("store")).expect("a link");
        let mut watch = Watch::start(root.to_owned(), root.join("token")).await;
        let text = |watch: &mut Watch| {
            let layout = watch.seen.borrow_and_update().layout.clone().expect("readable");
            String::from_utf8(layout.stores[&Place::Own].manifests.event_store.clone().expect("a file"))
                .expect("text")
        };
        assert_eq!(text(&mut watch), "one");
        swap(root, "..2", "two");
        watch.refresh.ask();
        watch.seen.changed().await.expect("a change");
        assert_eq!(text(&mut watch), "two");
        // by itself, and the same size and nearly the same time
        fs::write(root.join("..2/store/eventstore.yaml"), "owt").expect("a file");
        tokio::time::timeout(Duration::from_secs(10), watch.seen.changed())
            .await
            .expect("soon")
            .expect("a change");
        assert_eq!(text(&mut watch), "owt");
    }
}
