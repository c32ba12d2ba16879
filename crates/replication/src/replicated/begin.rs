//! The first entries of a log over several sources: `$term` and `$config`, once all voters have promised.
//!
//! All of them, not a majority: two manifests that share some sources could otherwise begin two logs. What a crash leaves
//! behind is a log whose configuration is still the implicit one: the next attempt goes on from there, with a higher term.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use polylog_log::{
    Acks, Append, Commit, Config, Failure, Head, Member, Nonce, Open, OperationError, Term, Watermarks,
};
use rand::Rng;
use uuid::Uuid;

use super::{
    Replica,
    call::{change, read},
};
use crate::{AppendError, OpenError, backoff::Backoff};

/// How long a source may take for one step.
const STEP: Duration = Duration::from_secs(3);
/// Others may begin the log at the same time; more tries than this mean that something else is wrong.
const LONGEST_RACE: usize = 6;

/// What each source says of itself.
pub(crate) async fn heads_of(replicas: &[Replica]) -> Vec<Result<Head, Failure>> {
    let head = |replica: &Replica| {
        let (source, identity) = (replica.source.clone(), replica.identity);
        async move {
            let head = read(STEP, source.head()).await?;
            match head.identity == identity {
                true => Ok(head),
                false => Err(Failure::WrongStore(format!(
                    "log {}, database {}",
                    head.identity.log, head.identity.database
                ))),
            }
        }
    };
    join_all(replicas.iter().map(head)).await
}

/// Whether a majority of the log's voters are sources of the manifest, in the databases that the log knows. Sources beyond
/// them are added to the log, and those that the manifest lacks leave it: both need that majority.
pub(crate) fn check_members(config: &Config, replicas: &[Replica]) -> Result<(), OpenError> {
    let declared: Vec<Member> = replicas.iter().map(Replica::member).collect();
    let missing: Vec<&Member> = config.voters.iter().filter(|voter| !declared.contains(voter)).collect();
    let voters = config.voters.len();
    let Some(first) = missing.first().filter(|_| voters - missing.len() < Acks::Majority.required(voters))
    else {
        return Ok(());
    };
    let has_name = declared.iter().any(|member| member.name == first.name);
    let reason = match has_name {
        true => format!(
            "the log's source {} is in another database than this, and without it too few of its {voters} voters are left \
             to decide: have the database restored",
            first.name
        ),
        false => format!(
            "the log's source {} is not in the manifest, and without it too few of its {voters} voters are left to decide: \
             put it back with state: Draining, and remove it once it votes no more",
            first.name
        ),
    };
    Err(OpenError::NotSupported { field: "sources", reason })
}

/// Begins the log, with `config` as its first configuration. Returns when it is written, by this process or another.
pub(crate) async fn begin(replicas: &[Replica], config: &Config) -> Result<(), OpenError> {
    let mut backoff = Backoff::default();
    let mut error = OpenError::NoPrimary;
    for _ in 0..LONGEST_RACE {
        let mut heads = Vec::new();
        for (replica, head) in replicas.iter().zip(heads_of(replicas).await) {
            heads.push(head.map_err(|failure| unreachable(replica, failure))?);
        }
        if heads.iter().any(|head| head.config.config.version.0 > 0) {
            return Ok(());
        }
        let term = heads.iter().map(|head| head.term).max().unwrap_or(Term::ZERO).next();
        match attempt(replicas, config, term).await {
            Ok(()) => return Ok(()),
            Err(OperationError::Refused { reason, .. }) => {
                tracing::debug!(event = "begin_refused", %reason, "another process begins the log, or did");
            }
            Err(OperationError::Failed(failure) | OperationError::Unknown(failure)) => error = failure.into(),
        }
        let pause = backoff.failed(rand::rng().random());
        tokio::time::sleep(pause).await;
    }
    Err(error)
}

fn unreachable(replica: &Replica, failure: Failure) -> OpenError {
    let told = |message: String| {
        format!("source {}: {message}; a log begins only with all of its voters", replica.name)
    };
    OpenError::Source(match failure {
        Failure::Unreachable(message) => Failure::Unreachable(told(message)),
        Failure::Timeout(after) => Failure::Unreachable(told(format!("no answer within {after:?}"))),
        other => other,
    })
}

async fn attempt(replicas: &[Replica], config: &Config, term: Term) -> Result<(), OperationError> {
    let nonce = Nonce::new(Uuid::from_u128(rand::rng().random()));
    tracing::info!(event = "term_promising", %term, "promising a term");
    let promise = |replica: &Replica| {
        let (source, identity) = (replica.source.clone(), replica.identity);
        async move { change(STEP, source.promise(&identity, term, nonce)).await }
    };
    let mut grants = Vec::new();
    for grant in join_all(replicas.iter().map(promise)).await {
        grants.push(grant?);
    }
    // written meanwhile: whoever wrote it has a later or the same term, so this attempt ends here
    if grants.iter().any(|head| head.config.config.version.0 > 0) {
        return Ok(());
    }
    // an attempt before this one may have opened a source already: its log is the best
    let in_order =
        config.order.iter().filter_map(|name| replicas.iter().position(|replica| replica.name == *name));
    let first = in_order.chain(0..replicas.len()).next().unwrap_or(0);
    let rank = |index: &usize| (grants[*index].tail.term, grants[*index].tail.position, *index == first);
    let primary = (0..replicas.len()).max_by_key(rank).unwrap_or(first);
    let Replica { name, source, identity } = &replicas[primary];
    let tail = grants[primary].tail;
    tracing::info!(event = "term_opening", %term, primary = %name, tail = %tail.position, "opening a term");
    let open = Open { term, nonce, tail, primary: name.clone(), forced: false, missing: Vec::new() };
    let head = change(STEP, source.open(identity, open)).await?;
    let batch = Arc::from([Commit::configure(identity.log, config)]);
    let append =
        Append { term, config: head.config.config.version, batch, watermarks: Watermarks::default() };
    let appended = change(STEP, source.append(identity, append)).await?;
    let version = appended.head.config.config.version;
    match version == config.version {
        true => Ok(()),
        false => Err(OperationError::Failed(Failure::Damaged(format!("$config stands at {}", version.0)))),
    }
}

impl From<AppendError> for OpenError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Source(failure) => OpenError::Source(failure),
            AppendError::NoPrimary => OpenError::NoPrimary,
            error => OpenError::Configure { what: "$config", error: Box::new(error) },
        }
    }
}
