//! The life of certificates without an API server, for the webhook's tests.

use jiff::Timestamp;

use super::{Lifetimes, Serving, contents::Contents, rotation};

pub(crate) struct Steps {
    contents: Contents,
    hosts: Vec<String>,
    lifetimes: Lifetimes,
}

impl Steps {
    pub(crate) fn first(host: &str, now: Timestamp, lifetimes: Lifetimes) -> Self {
        let hosts = vec![host.to_owned()];
        let contents = rotation::next(None, &hosts, "", now, &lifetimes).expect("made").expect("the first");
        Self { contents, hosts, lifetimes }
    }

    /// What the API server is to trust.
    pub(crate) fn trusted(&self) -> String {
        self.contents.trusted()
    }

    /// Goes on, where the API server trusts this; whether anything changed.
    pub(crate) fn next(&mut self, trusted: &str, now: Timestamp) -> bool {
        let next = rotation::next(Some(&self.contents), &self.hosts, trusted, now, &self.lifetimes);
        match next.expect("made") {
            Some(next) => {
                self.contents = next;
                true
            }
            None => false,
        }
    }

    pub(crate) fn show(&self, serving: &Serving) {
        serving.show(&self.contents).expect("a certificate");
    }
}
