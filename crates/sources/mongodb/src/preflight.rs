//! Looks at a database before it is used, and says what to change; writes nothing.

use std::future::IntoFuture;

use mongodb::bson::{Bson, Document, doc};
use polylog_log::{Check, CheckTopic, Credential, Failure, LogId, Preflight, RefusedReason};
use polylog_source_servers::preflight::{self as lines, FoundHead, micros_now};

use crate::{
    MongodbConfig,
    connection::Handle,
    durability::UNHEEDED,
    error::EngineError,
    fields::Fields,
    head,
    provision::look,
    schema::{COLLECTIONS, LANE},
};

const OWN_COLLECTIONS: &str = "give the log a database (mongodb.database) or a prefix (mongodb.collectionPrefix) of its own, or remove what is there";

/// Looks at a database through each of its connections: `data` writes documents, `provisioning` creates collections where
/// that is another one. `known` is the log that it should hold.
pub async fn preflight(
    data: &MongodbConfig,
    provisioning: Option<&MongodbConfig>,
    known: Option<LogId>,
) -> Vec<Check> {
    let mut checks = through(data, Credential::Rows, known).await;
    if let Some(config) = provisioning {
        checks.extend(through(config, Credential::Provisioning, known).await);
    }
    checks
}

async fn through(config: &MongodbConfig, credential: Credential, known: Option<LogId>) -> Vec<Check> {
    let mut report = Preflight::new(credential);
    let handle = Handle::new(config.clone());
    if let Err(error) = seen(&handle, credential, known, &mut report).await {
        failed(&mut report, error.failure());
    }
    handle.close().await;
    report.finish()
}

/// What no line told of yet.
fn failed(report: &mut Preflight, failure: Failure) {
    let (topic, fix) = match &failure {
        Failure::Refused { reason: RefusedReason::Auth, .. } => {
            (CheckTopic::Credentials, "correct the user or the password, or authSource")
        }
        Failure::Refused { reason: RefusedReason::Rights, .. } => {
            (CheckTopic::Rights, "polylog grants prints what the users of a source need")
        }
        Failure::Refused { reason: RefusedReason::Tls, .. } => {
            (CheckTopic::Tls, "check tls.mode, the authority (tls.caRef) and the host's name")
        }
        Failure::WrongStore(_) => (CheckTopic::Tables, OWN_COLLECTIONS),
        Failure::FormatTooNew { .. } => (CheckTopic::Format, "update polylog"),
        Failure::Damaged(_) => (CheckTopic::Tables, "have the database verified or restored"),
        _ => (CheckTopic::Reachable, "start the server, or correct the address"),
    };
    report.failed(topic, failure, fix);
}

async fn seen(
    handle: &Handle,
    credential: Credential,
    known: Option<LogId>,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let config = &handle.config;
    let database = &handle.connected().await?.database;
    let before = micros_now();
    let hello = handle.hello(database).await?;
    let after = micros_now();
    let address = config.address.to_string();
    report.passed(CheckTopic::Reachable, address.clone());
    let is_local = ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| address.contains(host));
    let version = config.address.is_encrypted().then(|| "on".to_owned());
    lines::tls(report, version, is_local, "give the server a certificate (net.tls)");
    if let Some(Bson::DateTime(time)) = hello.get("localTime") {
        lines::clock(report, time.timestamp_millis() * 1_000, before, after);
    }
    let takes_writes =
        ["isWritablePrimary", "ismaster"].iter().any(|field| hello.get_bool(field).unwrap_or(false));
    if takes_writes {
        report.passed(CheckTopic::Writable, "a primary that takes writes");
    } else {
        let refused = Failure::Refused {
            reason: RefusedReason::ReadOnly,
            message: "this member of the replica set takes no writes".into(),
        };
        report.failed(CheckTopic::Writable, refused, "name the set's members and replicaSet in the address");
    }
    // this is the first question that needs a user
    let actual = look(handle).await?;
    match config.address.user() {
        Some(user) => report.passed(CheckTopic::Credentials, format!("{}@{}", user.name, user.database)),
        None => report.passed(CheckTopic::Credentials, "the server asks for none"),
    }
    let build = handle.patiently(database.run_command(doc! { "buildInfo": 1 }).into_future()).await?;
    report.passed(CheckTopic::Version, build.get_str("version").unwrap_or("unknown"));
    if credential == Credential::Rows && !actual.collections.is_empty() {
        durability(handle, report).await?;
    } else {
        let why = "whether it heeds w: majority and j: true is tried when collections are created";
        report.unknown(CheckTopic::Durability, why);
    }
    report.unknown(
        CheckTopic::Rights,
        "may look; what else is needed is not tried here: polylog grants prints it",
    );
    let place = config.place();
    if actual.collections.is_empty() {
        lines::not_yet(report, &place, known);
        return Ok(());
    }
    let missing: Vec<&str> =
        COLLECTIONS.into_iter().filter(|name| !actual.collections.contains(*name)).collect();
    lines::tables(report, &place, COLLECTIONS.len(), &missing);
    let find = handle.connected().await?.head.find_one(doc! { "_id": LANE });
    let found = handle.patiently(find.into_future()).await?.map(|head| found(&head)).transpose()?;
    lines::identity(report, &place, known, found);
    Ok(())
}

async fn durability(handle: &Handle, report: &mut Preflight) -> Result<(), EngineError> {
    if handle.heeds_write_concerns(&handle.connected().await?.leases).await? {
        report.passed(
            CheckTopic::Durability,
            "it looks at write concerns; w: majority and j: true are asked for",
        );
    } else if handle.config.allow_unsafe_durability {
        let seen = format!("{UNHEEDED}: allowed by --unsafe-durability; what was acknowledged may be lost");
        report.warning(CheckTopic::Durability, seen, "use a server that keeps what it acknowledged");
    } else {
        let failure = Failure::Refused { reason: RefusedReason::Unsuitable, message: UNHEEDED.into() };
        report.failed(CheckTopic::Durability, failure, "use a server that keeps what it acknowledged");
    }
    Ok(())
}

fn found(document: &Document) -> Result<FoundHead, EngineError> {
    let tail = Fields::of("the head", document).point("tail")?;
    let log = head::identity(document)?.log;
    Ok(FoundHead { format: head::format(document)?, log, tail: tail.position.get() })
}
