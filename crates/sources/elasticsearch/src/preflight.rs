//! Looks at a cluster before it is used, and says what to change; writes nothing.

use polylog_log::{Check, CheckTopic, Credential, Failure, LogId, Preflight, RefusedReason};
use polylog_source_servers::preflight::{self as lines, FoundHead, micros_now};

use crate::{
    ElasticsearchConfig,
    connection::Handle,
    error::EngineError,
    provision::{Place, look, server},
    schema::KINDS,
};

const OWN_INDICES: &str =
    "give the log a name of its own (elasticsearch.index.name), or remove what is there";

/// Looks at the indices through each of its connections: `data` writes documents, `provisioning` creates indices where that
/// is another one. `known` is the log that they should hold.
pub async fn preflight(
    data: &ElasticsearchConfig,
    provisioning: Option<&ElasticsearchConfig>,
    place: &Place,
    known: Option<LogId>,
) -> Vec<Check> {
    let mut checks = through(data, place, Credential::Rows, known).await;
    if let Some(config) = provisioning {
        checks.extend(through(config, place, Credential::Provisioning, known).await);
    }
    checks
}

async fn through(
    config: &ElasticsearchConfig,
    place: &Place,
    credential: Credential,
    known: Option<LogId>,
) -> Vec<Check> {
    let mut report = Preflight::new(credential);
    let handle = Handle::new(config.clone());
    if let Err(error) = seen(&handle, place, known, &mut report).await {
        failed(&mut report, error.failure());
    }
    report.finish()
}

/// What no line told of yet.
fn failed(report: &mut Preflight, failure: Failure) {
    let (topic, fix) = match &failure {
        Failure::Refused { reason: RefusedReason::Auth, .. } => {
            (CheckTopic::Credentials, "correct the user, the password or the API key")
        }
        Failure::Refused { reason: RefusedReason::Rights, .. } => {
            (CheckTopic::Rights, "polylog grants prints what the users of a source need")
        }
        Failure::Refused { reason: RefusedReason::Tls, .. } => {
            (CheckTopic::Tls, "check the authority (tls.caRef) and the host's name")
        }
        Failure::Refused { reason: RefusedReason::Unsuitable, .. } => {
            (CheckTopic::Version, "use another server")
        }
        Failure::WrongStore(_) => (CheckTopic::Tables, OWN_INDICES),
        Failure::FormatTooNew { .. } => (CheckTopic::Format, "update polylog"),
        Failure::Damaged(_) => (CheckTopic::Tables, "have the indices verified or restored"),
        _ => (CheckTopic::Reachable, "start the server, or correct the address"),
    };
    report.failed(topic, failure, fix);
}

async fn seen(
    handle: &Handle,
    place: &Place,
    known: Option<LogId>,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let address = &handle.config.address;
    let (flavor, version) = server(handle).await?;
    report.passed(CheckTopic::Reachable, address.to_string());
    let is_local = ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| address.to_string().contains(host));
    let encrypted = address.is_encrypted().then(|| "on".to_owned());
    lines::tls(report, encrypted, is_local, "give the server a certificate and an https:// address");
    match address.user() {
        Some(user) => report.passed(CheckTopic::Credentials, user),
        None if address.credentials.is_some() => report.passed(CheckTopic::Credentials, "an API key"),
        None => report.passed(CheckTopic::Credentials, "the server asks for none"),
    }
    report.passed(CheckTopic::Version, format!("{flavor:?} {version}"));
    let before = micros_now();
    let clock = handle.clock().await?;
    lines::clock(report, clock.as_micros(), before, micros_now());
    report.unknown(
        CheckTopic::Rights,
        "may look; what else is needed is not tried here: polylog grants prints it",
    );
    let name = format!("indices {}-*", place.indices.prefix());
    let actual = look(handle, place).await?;
    if actual.indices.is_empty() {
        lines::not_yet(report, &name, known);
        return Ok(());
    }
    let missing: Vec<&str> = KINDS
        .into_iter()
        .filter(|kind| !actual.indices.contains_key(kind))
        .map(crate::schema::Kind::word)
        .collect();
    lines::tables(report, &name, KINDS.len(), &missing);
    if missing.is_empty() {
        standing(handle, report).await?;
    }
    let head = match actual.identity {
        Some(_) => Some(handle.head_document().await?.document.head),
        None => None,
    };
    let found = head.map(|head| FoundHead {
        format: head.format,
        log: head.identity.log,
        tail: head.tail.position.get(),
    });
    lines::identity(report, &name, known, found);
    Ok(())
}

async fn standing(handle: &Handle, report: &mut Preflight) -> Result<(), EngineError> {
    let flaws = handle.flaws().await?;
    match flaws.first() {
        Some(flaw) => report.failed(CheckTopic::Durability, flaw.failure(), flaw.fix()),
        None => report.passed(CheckTopic::Durability, "an answered write is on disk"),
    }
    Ok(())
}
