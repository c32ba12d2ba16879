//! Databases that must not be used, or not now: what a sidecar that runs says of each, that nothing is written meanwhile,
//! and that it goes on by itself once the cause is gone. The same for every engine.

pub mod causes;
pub mod copies;
pub mod logs;
pub mod servers;
pub mod starts;

use std::time::{Duration, Instant};

use polylog_api::proto::polylog::v1::{self, expected::Kind};
use tempfile::TempDir;
use tonic::Code as Status;

use crate::support::{
    mounted::store,
    process::{Dev, at, folder},
    remote::{commit, failed},
    server::Place,
};
use servers::BadServer;

/// The tests of this folder on one kind of server: one of it is for the tests that neither stop nor reconfigure it.
macro_rules! tests {
    ($server:ty) => {
        static SERVER: std::sync::LazyLock<$server> = std::sync::LazyLock::new(<$server>::start);

        $crate::bad_on_server::tests! {
            causes::nobody_there_and_a_password_that_is_wrong
            causes::rights_that_are_taken_away
            causes::a_database_that_takes_no_writes
            causes::a_server_that_begins_to_forget_and_an_index_that_is_gone
            causes::a_foreign_table_in_the_place_of_ours
            causes::a_disk_that_is_full
            logs::a_servers_log_that_has_no_room_left
            copies::another_stores_database
            copies::an_older_copy_in_the_place_of_the_database
            copies::a_dump_that_was_restored_in_the_place_of_the_database
            starts::a_server_that_forgets_is_used_only_when_told_and_says_so
            starts::a_start_where_a_foreign_table_is_writes_nothing
        }
    };
    ($($group:ident::$name:ident)+) => {$(
        #[tokio::test]
        async fn $name() {
            $crate::bad_on_server::$group::$name(&SERVER).await;
        }
    )+};
}
pub(crate) use tests;

pub const ENOUGH: Duration = Duration::from_secs(120);

/// A place of its own, the sidecar that serves it, and the user that it works as.
pub struct Served<'a, S: BadServer> {
    pub server: &'a S,
    pub place: Place,
    pub user: String,
    pub running: Dev,
    pub folder: TempDir,
}

impl<'a, S: BadServer> Served<'a, S> {
    pub async fn new(server: &'a S) -> Self {
        Self::by(server, |url| url).await
    }

    /// The same, whose sidecar reaches the server at another address than its own.
    pub async fn by(server: &'a S, way: impl FnOnce(String) -> String) -> Self {
        let place = server.new_place();
        let user = format!("role_of_{}", place.database);
        server.create_user(&user, "geheim");
        server.let_provision(&place, &user);
        let folder = folder(&store(server, &place));
        let running = Dev::start(folder.path(), &at(&way(server.url_as(&user, "geheim", &place))));
        let served = Self { server, place, user, running, folder };
        served.running.client.append("Payment-1", "Paid", "1").await;
        served.running.client.append("Payment-1", "Paid", "2").await;
        served
    }

    /// How many events are there for which this is true.
    pub fn count(&self, condition: &str) -> u64 {
        self.server.count(&self.place, condition)
    }

    /// For another process, as the same user.
    pub fn source(&self) -> String {
        at(&self.server.url_as(&self.user, "geheim", &self.place))
    }

    pub fn manifests(&self) -> String {
        store(self.server, &self.place)
    }

    /// Waits until every answer is this code: appends and reads over HTTP and gRPC, the probe, the status; and nothing
    /// was written since.
    pub async fn refuses(&self, what: &str, code: &str, http: u16, grpc: Status, words: &str) {
        let running = &self.running;
        let deadline = Instant::now() + ENOUGH;
        loop {
            // until it is noticed it may be written
            let body = r#"{"expectedVersion":"any","events":[{"type":"Early"}]}"#;
            let append = running.client.post("/v1/streams/Payment-1", body).await;
            let read = running.client.get("/v1/streams/Payment-1").await;
            if append.json()["code"] == code && read.json()["code"] == code {
                break;
            }
            assert!(Instant::now() < deadline, "{what}: {} {}", append.text(), read.text());
        }
        let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
        let append = running.client.post("/v1/streams/Payment-1", body).await;
        let problem = append.problem(code);
        assert_eq!((append.status.as_u16(), &problem["written"]), (http, &"nothing".into()), "{what}");
        assert!(append.text().contains(words), "{what}: {problem}");
        assert!(problem["nextStep"].as_str().is_some_and(|next| !next.is_empty()), "{what}: {problem}");
        assert_eq!(problem["retry"], matches!(code, "source_unavailable" | "not_provisioned"), "{what}");
        let read = running.client.get("/v1/events").await;
        assert!(read.problem(code)["detail"].as_str().unwrap().contains(words), "{what}");
        failed(
            running.remote.append(commit("Payment-1", Kind::Any(true), &[("Refused", "1")])).await,
            grpc,
            code,
        );
        failed(running.remote.read_log(v1::ReadLogRequest::default()).await, grpc, code);

        let deadline = Instant::now() + ENOUGH;
        loop {
            let probe = running.health.get("/readyz").await;
            assert!(probe.status == 503 && Instant::now() < deadline, "{what}: {}", probe.text());
            if probe.text() == format!("payments has no primary: {code}\n") {
                break;
            }
        }
        running.health.get("/livez").await.ok();
        let state = if code == "wrong_store" { "Divergent" } else { "Unreachable" };
        let deadline = Instant::now() + ENOUGH;
        loop {
            let store = running.client.get("/v1/stores/payments").await.ok().json();
            let source = &store["sources"][0];
            let message = source["message"].as_str().unwrap_or_default();
            if source["state"] == state && message.contains(words) {
                break;
            }
            // a database that is slow to say it is shown as one that does not answer
            assert!(message.contains("no answer within") && Instant::now() < deadline, "{what}: {store}");
        }
        assert!(!running.said.lock().unwrap().contains("geheim"), "{what}: a password in the log");
    }

    /// Waits until it works again, without a restart; nothing of what was refused was written.
    pub async fn recovers(&self, what: &str) {
        let deadline = Instant::now() + ENOUGH;
        let before = self.count("true");
        loop {
            let body = r#"{"expectedVersion":"any","events":[{"type":"Paid"}]}"#;
            let answer = self.running.client.post("/v1/streams/Payment-2", body).await;
            if answer.status.is_success() {
                break;
            }
            assert!(Instant::now() < deadline, "{what}: {}", answer.text());
        }
        loop {
            let probe = self.running.health.get("/readyz").await;
            let store = self.running.client.get("/v1/stores/payments").await.ok().json();
            if probe.status == 200 && store["sources"][0]["state"] == "InSync" {
                break;
            }
            // on a machine with much to do the status may come too late
            let is_late =
                store["sources"][0]["message"].as_str().is_some_and(|why| why.contains("no answer within"));
            assert!((is_late || probe.status == 503) && Instant::now() < deadline, "{what}: {store}");
        }
        assert_eq!(self.count("true"), before + 1, "{what}");
        assert_eq!(self.count("type = 'Refused'"), 0, "{what}");
    }
}
