//! Users and passwords that change.

use std::sync::LazyLock;

use crate::support::{
    mounted::{Serving, Volume, store, until},
    server::{LogServer, Place, provision},
    writers::Writers,
};

/// A gateway and a sidecar in a place of their own, reached as `user` with the password `one`.
struct AsWorker {
    place: Place,
    user: String,
    volume: Volume,
    gateway: Serving,
    sidecar: Serving,
}

impl AsWorker {
    async fn start<S: LogServer>(server: &S) -> Self {
        let place = server.new_place();
        provision(server, &place).await;
        let user = format!("worker_{}", place.database);
        server.create_user(&user, "one");
        server.let_use(&place, &user);
        let volume = Volume::new(&[
            ("store/eventstore.yaml", &Self::manifest(server, &place)),
            ("sources/ledger/username", &user),
            ("sources/ledger/password", "one"),
        ]);
        let gateway = Serving::start("gateway", &volume).await;
        let sidecar = Serving::start("sidecar", &volume).await;
        sidecar.until_it_appends("Payment-1").await;
        Self { place, user, volume, gateway, sidecar }
    }

    fn manifest<S: LogServer>(server: &S, place: &Place) -> String {
        let address = server.address(None, place);
        let connection = format!("url: '{address}', auth: {{secretRef: {{name: ledger-user}}}}");
        store(server, place).replace("secretRef: {name: ledger-db}", &connection)
    }
}

pub async fn a_password_and_a_user_are_rotated_under_load<S: LogServer>(shared: &LazyLock<S>) {
    let server: &S = shared;
    let AsWorker { place, user: first, mut volume, gateway, sidecar } = AsWorker::start(server).await;
    let second = format!("second_{}", place.database);
    let writers = Writers::start(&sidecar);
    writers.go_on(3).await;

    // the password changes, the new one is mounted, the old sessions end: all at once, so that the processes meet the
    // refusal before they have read the new one
    server.set_password(&first, "two");
    volume.set(&[("sources/ledger/password", "two")]);
    server.end_sessions(&place);
    writers.go_on(3).await;
    until("both use the new one", || async {
        let replaced = |serving: &Serving| serving.process.said().matches("new database sessions").count();
        (replaced(&sidecar) == 1 && replaced(&gateway) == 1).then_some(())
    })
    .await;

    // another user, also while the manifests are wrong, and the old one may not log in any more
    server.create_user(&second, "three");
    server.let_use(&place, &second);
    volume.set(&[
        ("store/eventstore.yaml", "kind: ["),
        ("sources/ledger/username", &second),
        ("sources/ledger/password", "three"),
    ]);
    until("the new user is in use", || async { (server.users(&place) == second).then_some(()) }).await;
    sidecar.until_configuration("Refused").await;
    volume.set(&[("store/eventstore.yaml", &AsWorker::manifest(server, &place))]);
    server.lock_out(&first);
    server.end_sessions(&place);
    writers.go_on(3).await;
    writers.end().await;
    for process in [&sidecar, &gateway] {
        let said = process.process.said();
        assert!(!said.contains("two") && !said.contains("three"), "a secret in the log");
        process.until_configuration("InForce").await;
    }
}

pub async fn new_credentials_that_do_not_work_leave_the_old_ones_in_use_until_they_do<S: LogServer>(
    shared: &LazyLock<S>,
) {
    let server: &S = shared;
    let AsWorker { place, user, mut volume, gateway: _gateway, sidecar } = AsWorker::start(server).await;
    let writers = Writers::start(&sidecar);
    volume.set(&[("sources/ledger/password", "later")]);
    // on a busy machine a try may end before the server has said no
    until("it is refused", || async {
        (sidecar.configuration().await["code"] == "source_refused").then_some(())
    })
    .await;
    assert_eq!(sidecar.configuration().await["state"], "Refused");
    writers.go_on(3).await;
    assert!(sidecar.metrics().await.contains(r#"polylog_configuration_in_force{store="payments"} 0"#));
    // another store's database is none for this one
    let other = server.new_place();
    provision(server, &other).await;
    server.let_use(&other, &user);
    let (manifest, moved) = (AsWorker::manifest(server, &place), AsWorker::manifest(server, &other));
    volume.set(&[("store/eventstore.yaml", &moved), ("sources/ledger/password", "one")]);
    until("it is refused", || async {
        (sidecar.configuration().await["code"] == "wrong_store").then_some(())
    })
    .await;
    writers.go_on(3).await;
    // the database follows what is mounted: nobody touches the mount
    volume.set(&[("store/eventstore.yaml", &manifest), ("sources/ledger/password", "later")]);
    until("it is refused", || async {
        (sidecar.configuration().await["code"] == "source_refused").then_some(())
    })
    .await;
    server.set_password(&user, "later");
    sidecar.until_configuration("InForce").await;
    server.end_sessions(&place);
    writers.go_on(3).await;
    writers.end().await;
    assert_eq!(server.count(&other, "true"), 0);
}
