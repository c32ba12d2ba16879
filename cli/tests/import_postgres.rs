//! `polylog import --from postgres` on a real server.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "cli/support.rs"]
mod support;

mod import_from;

use std::{io::Write, process::Stdio, sync::LazyLock};

use import_from::{Event, Gate, Import, check_store, complete, events};
use polylog_test_bed::PostgresServer;
use serde_json::{Value, json};
use support::Dev;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

const TABLE: &str = "CREATE TABLE events (event_id uuid PRIMARY KEY, aggregate_type text NOT NULL, \
     aggregate_id text NOT NULL, version int NOT NULL, event_type text NOT NULL, payload json, metadata jsonb, \
     occurred_at timestamptz NOT NULL, correlation_id text)";

/// A database with the statements' tables.
fn database(statements: &str) -> String {
    let database = SERVER.create_database();
    let mut client = SERVER.client(&database).stdin(Stdio::piped()).spawn().expect("psql");
    let mut input = client.stdin.take().expect("it is piped");
    input.write_all(statements.as_bytes()).expect("psql reads");
    drop(input);
    assert!(client.wait().expect("it ends").success());
    database
}

fn rows(events: &[Event]) -> String {
    let text = |text: &str| text.replace('\'', "''");
    let row = |event: &Event| {
        let Event { id, aggregate, version, data, metadata, time } = event;
        format!(
            "INSERT INTO events VALUES ('{id}', 'Payment', 'p{aggregate}', {version}, 'PaymentProcessed', '{}', '{}', \
             '{time}', 'c{aggregate}');\n",
            text(data),
            text(metadata)
        )
    };
    let rows: String = events.iter().map(row).collect();
    format!("{TABLE};\nBEGIN;\n{rows}COMMIT;\n")
}

fn import<'a>(dev: &'a Dev, database: &str, name: &str) -> Import<'a> {
    let arguments = ["--from", "postgres", name].map(str::to_owned).to_vec();
    Import { dev, arguments, url: SERVER.url(database) }
}

#[test]
fn a_table_of_events_becomes_a_store_however_often_the_import_is_killed() {
    let events = events(2_500, 25);
    let database = database(&rows(&events));
    let dev = Dev::start();
    let gate = Gate::before(SERVER.port());
    let url = SERVER.url(&database).replace(&SERVER.port().to_string(), &gate.port().to_string());
    let import = Import { url, ..import(&dev, &database, "events") };

    import.killed_at(&gate, 450_000, import.command(&[]));
    assert!(dev.events(&[]).is_empty(), "nothing is written before everything was read");
    let sidecar = Gate::before(dev.port);
    let mut command = import.command(&["--in-flight", "1"]);
    command.env("POLYLOG_URL", format!("http://127.0.0.1:{}", sidecar.port()));
    import.killed_at(&sidecar, 3_000, command);
    let before = dev.events(&[]).len();
    assert!(before > 0 && before < events.len(), "{before}");

    let (summary, _) = import.succeeds(&[]);
    assert_eq!(summary, complete(events.len(), events.len() - before));
    check_store(&dev, &events);
    let (summary, _) = import.succeeds(&[]);
    assert_eq!(summary, complete(events.len(), 0), "the same command again does nothing");
    // the folder holds all that is needed: a new one finds the same events
    import.forget();
    let (summary, said) = import.succeeds(&[]);
    assert_eq!(summary, complete(events.len(), 0));
    assert!(said.contains("id from event_id, aggregateType from aggregate_type"), "{said}");
}

#[test]
fn a_killed_import_does_not_read_again_what_it_has_read() {
    let events = events(2_500, 25);
    let database = database(&rows(&events));
    let dev = Dev::start();
    let gate = Gate::before(SERVER.port());
    let url = SERVER.url(&database).replace(&SERVER.port().to_string(), &gate.port().to_string());
    let import = Import { url, ..import(&dev, &database, "public.events") };
    import.killed_at(&gate, 450_000, import.command(&[]));
    let (summary, said) = import.succeeds(&[]);
    let read = said.split("going on: ").nth(1).and_then(|rest| rest.split(' ').next()).expect(&said);
    let read: usize = read.parse().expect("a number");
    assert!(read > 100 && read < events.len(), "{said}");
    assert_eq!(summary, complete(events.len(), events.len()));
    check_store(&dev, &events);

    // a row that an import that goes on passes by is noticed
    let dev = Dev::start();
    let import = Import { dev: &dev, ..import };
    let interrupted = import.signalled_at(&gate, 450_000, import.command(&[]), "-INT");
    let said = String::from_utf8_lossy(&interrupted.stderr);
    assert!(interrupted.status.code() == Some(130) && said.contains("the same command goes on"), "{said}");
    let early = Event {
        id: "00000000-0000-0000-0000-000000000001".into(),
        aggregate: 99,
        version: 1,
        ..events[0].clone()
    };
    let early = rows(&[early]).replace(TABLE, "SELECT 1");
    SERVER.execute(&database, &early.replace("BEGIN;", "").replace("COMMIT;", ""));
    let (code, _, said) = import.outcome(&[]);
    assert!(code == 1 && said.contains("holds 2501 events, and 2500 were read"), "{code} {said}");
    assert!(dev.events(&[]).is_empty());
    assert_eq!(import.succeeds(&[]).0, complete(2_501, 2_501));
}

#[test]
fn damaged_streams_are_told_and_nothing_is_written() {
    let dev = Dev::start();
    let mut events = events(60, 3);
    let told = |events: &[Event], words: &[&str]| {
        let database = database(&rows(events));
        let import = import(&dev, &database, "events");
        import.forget();
        let told = import.refused(&[], words[0]);
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        // they can be corrected, and the same command imports them
        import.refused(&[], words[0]);
        database
    };
    events[30].version = 90;
    told(&events, &["stream Payment-p0 has no version 11", "stream Payment-p0 has no versions 21 to 89"]);
    events[30].version = 10;
    told(&events, &["stream Payment-p0 has version 10 twice", "stream Payment-p0 has no version 11"]);
    events[30].version = 0;
    let database = told(&events, &["stream Payment-p1 begins with version 1, not 0"]);
    let import = import(&dev, &database, "events");
    let corrected = "UPDATE events SET version = 11 WHERE version = 0";
    SERVER.execute(&database, corrected);
    assert_eq!(import.succeeds(&[]).0, complete(60, 60));
}

#[test]
fn what_no_event_can_be_made_of_is_told_by_its_key() {
    let dev = Dev::start();
    let mut events = events(3, 1);
    events[1].metadata = "[1]".into();
    let database = database(&rows(&events));
    let import = import(&dev, &database, "events");
    import.refused(&[], &format!("row ({}): its metadata is no JSON object", events[1].id));
    // two ids that are one
    SERVER.execute(
        &database,
        "ALTER TABLE events ADD code text; UPDATE events SET metadata = NULL, code = 'x'",
    );
    let told = import.refused(&["--map", "id=code"], "3 events have the id");
    assert!(told.contains("stream Payment-p0"), "{told}");
}

#[test]
fn a_wrong_mapping_or_database_is_told() {
    let dev = Dev::start();
    let database = database(&rows(&events(10, 1)));
    let import = import(&dev, &database, "events");
    import.refused(
        &["--map", "type=kind"],
        "there is no field \"kind\" for type; there are event_id, aggregate_type",
    );
    import.refused(&["--map", "typo=event_type"], "there is no \"typo\"; there are id, stream");
    let both = ["--map", "version=event_type", "--map", "type=event_type"];
    import.refused(&both, "its version is no whole number: PaymentProcessed");
    let both = ["--map", "time=event_type", "--map", "type=event_type"];
    import.refused(&both, "its time is \"PaymentProcessed\"");
    import.refused(&["--mapping", "/nowhere.yaml"], "/nowhere.yaml");
    let other = Import { arguments: ["--from", "postgres", "orders"].map(str::to_owned).to_vec(), ..import };
    other.refused(&[], "has no table or view orders");
    let import = Import { arguments: ["--from", "postgres", "events"].map(str::to_owned).to_vec(), ..other };
    assert_eq!(import.outcome(&["--from-url", "postgres://postgres:geheim@127.0.0.1:1/x"]).0, 3);
    let (code, _, said) = import.outcome(&["--from-url", &SERVER.url_as("postgres", "geheim", &database)]);
    assert!(code == 1 && said.contains("password authentication failed"), "{code} {said}");
    import.refused(&["--from-url", "mysql://me:geheim@h/d"], "postgres://");
    let password = dev.file("password", "geheim\n").display().to_string();
    let unsaid = format!("postgres://postgres@127.0.0.1:{}/{database}", SERVER.port());
    let (code, _, said) = import.outcome(&["--from-url", &unsaid, "--from-password-file", &password]);
    assert!(code == 1 && said.contains("password authentication failed"), "{code} {said}");
    dev.file("password", "secret\n");
    let by_file = ["--from-url", unsaid.as_str(), "--from-password-file", &password];

    // what was begun with one source or mapping is not gone on with another
    assert_eq!(import.succeeds(&by_file).0, complete(10, 10));
    let (code, _, said) = import.outcome(&["--map", "correlationId=aggregate_type"]);
    assert!(code == 2 && said.contains("another mapping"), "{code} {said}");
    SERVER.execute(&database, "CREATE VIEW few AS SELECT * FROM events WHERE version < 5");
    let other = Import { arguments: ["--from", "postgres", "few"].map(str::to_owned).to_vec(), ..import };
    let (code, _, said) = other.outcome(&[]);
    assert!(code == 2 && said.contains("another source: postgres://127.0.0.1:"), "{code} {said}");
}

#[test]
fn tables_of_other_shapes() {
    let database = database(
        "CREATE TABLE messages (global_position bigserial PRIMARY KEY, position bigint, stream_name text, type text, \
         data jsonb, metadata jsonb, id uuid, time timestamp);
         INSERT INTO messages (position, stream_name, type, data, id, time) VALUES
         (0, 'Order-1', 'Placed', '{\"b\": 1.00, \"a\": null}', '00000000-0000-0000-0000-00000000000a', '2024-01-01 10:00:00.123456'),
         (1, 'Order-1', 'Paid', '[]', '00000000-0000-0000-0000-00000000000b', '2024-01-01 09:00:00'),
         (0, 'Order-2', 'Placed', '7', '00000000-0000-0000-0000-00000000000c', '2024-01-01 11:00:00');
         CREATE TABLE journal (ordering bigserial, \"Kind\" text, account int, revision int, body bytea, at timestamptz);
         INSERT INTO journal (\"Kind\", account, revision, body, at) VALUES
         ('Opened', 17, 4, '\\x7b7d', '2024-01-01T00:00:00Z'), ('Closed', 17, 9, '\\x00ff', '2024-01-02T00:00:00Z');
         CREATE TABLE texts (id text PRIMARY KEY, stream text, version int, type text, data text, created_at timestamptz);
         INSERT INTO texts VALUES ('it''s \\one', 'T', 1, 'Said', '{\"a\": 1.50}', '2024-01-01T00:00:00Z');",
    );
    let dev = Dev::start();
    let run = |name: &str, more: &[&str]| {
        let import = import(&dev, &database, name);
        import.forget();
        import.succeeds(more).0
    };
    let said = import(&dev, &database, "messages").outcome(&["--map", "version=position"]).2;
    assert!(said.contains("--map timeZone=UTC"), "{said}");
    let summary = run("messages", &["--map", "version=position", "--map", "timeZone=UTC"]);
    assert_eq!(summary, complete(3, 3));
    let events = dev.events(&["Order-1"]);
    let of = |event: &Value| json!([event["id"], event["version"], event["time"], event["data"]]);
    assert_eq!(
        events.iter().map(of).collect::<Vec<_>>(),
        [
            json!(["00000000-0000-0000-0000-00000000000a", 1, "2024-01-01T10:00:00.123456Z", {"b": 1.0, "a": null}]),
            json!(["00000000-0000-0000-0000-00000000000b", 2, "2024-01-01T09:00:00Z", []]),
        ]
    );
    assert!(
        dev.run(&["export"]).contains(r#""data":{"a": null, "b": 1.00}"#),
        "numbers stay as they are written"
    );

    let mapping = dev.file(
        "journal.yaml",
        "type: Kind\naggregateType: =Account\naggregateId: account\ndata: body\ndataForm: hex\nid: ordering\ntime: at\n",
    );
    let mapping = mapping.display().to_string();
    let arguments = ["--mapping", mapping.as_str()];
    let import_journal = import(&dev, &database, "journal");
    import_journal.forget();
    let (code, _, said) = import_journal.outcome(&arguments);
    assert!(code == 2 && said.contains("stream Account-17 begins with version 4, not 1"), "{said}");
    let summary = run("journal", &[&arguments[..], &["--renumber"]].concat());
    assert_eq!(summary, complete(2, 2));
    let events = dev.events(&["Account-17"]);
    let of = |event: &Value| json!([event["version"], event["dataBase64"], event["metadata"]["$imported"]]);
    assert_eq!(
        events.iter().map(of).collect::<Vec<_>>(),
        [
            json!([1, "e30=", {"ordering": 1, "revision": 4}]),
            json!([2, "AP8=", {"ordering": 2, "revision": 9}])
        ]
    );

    let import_texts = import(&dev, &database, "texts");
    import_texts.forget();
    let said = import_texts.outcome(&[]).2;
    assert!(said.contains("--map dataForm=parsed"), "{said}");
    assert_eq!(run("texts", &["--map", "dataForm=parsed"]), complete(1, 1));
    let event = &dev.events(&["T"])[0];
    assert_eq!(
        (&event["data"], &event["metadata"]["$imported"]),
        (&json!({"a": 1.5}), &json!({"id": "it's \\one"}))
    );
    // a view has no key: it is read as a whole
    SERVER.execute(&database, "CREATE VIEW \"Told\" AS SELECT * FROM texts");
    assert_eq!(run("\"Told\"", &["--map", "dataForm=parsed", "--map", "stream==U"]), complete(1, 1));
}

#[test]
fn what_differs_from_the_source_is_told_at_the_end() {
    let database = database(&rows(&events(20, 2)));
    let dev = Dev::start();
    let import = import(&dev, &database, "events");
    assert_eq!(import.succeeds(&[]).0, complete(20, 20));
    let extract = rusqlite::Connection::open(import.work().join("events.db")).expect("a database");
    extract
        .execute_batch(
            "UPDATE events SET line = replace(line, 'T00:07:', 'T01:07:') WHERE number = 8;
             UPDATE events SET line = replace(line, '\"n\":3', '\"n\":4') WHERE number = 4;
             INSERT INTO events SELECT 21, zeroblob(16), stream, 11, NULL, time, line FROM events WHERE number = 1;",
        )
        .expect("it is written");
    drop(extract);
    let (code, stdout, _) = import.outcome(&[]);
    let summary: Value = serde_json::from_str(&stdout).expect("JSON");
    let checked = &summary["checked"];
    assert_eq!((code, &summary["complete"]), (1, &json!(false)), "{summary}");
    assert_eq!([&checked["same"], &checked["differing"], &checked["missing"]], [18, 2, 1], "{summary}");
    let faults = checked["faults"].to_string();
    assert!(faults.contains("differs in its time") && faults.contains("differs in its data"), "{faults}");
    assert!(
        faults.contains("00000000-0000-0000-0000-000000000000 of stream Payment-p0 is missing"),
        "{faults}"
    );
}
