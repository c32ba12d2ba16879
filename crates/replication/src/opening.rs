//! What a store needs to be open, with one source and with several.

use std::sync::Arc;

use polylog_log::{Failure, Head, Point};
use tokio_util::task::TaskTracker;

use crate::{
    OpenError, StoreOptions,
    appender::{Appender, Queue},
    bootstrap::{Election, open_log},
    heads::Heads,
    reader::{Capped, Reader},
    replicated::{Driver, DriverOptions, View, begin, check_members, heads_of, replay, share_duties},
    shared::Shared,
    writer::Writer,
};

/// One source: what it holds as primary has every ack level.
pub(crate) async fn opened_one(options: &StoreOptions, tasks: &TaskTracker) -> Result<Shared, OpenError> {
    let StoreOptions { source, identity, .. } = options;
    let mut election = Election::new(*identity, options.source_name.clone(), options.may_open);
    let head = open_log(&**source, &mut election, options.ack_timeout).await?;
    let queue = Queue::new(options.queue, &head);
    let heads = Arc::new(Heads::new(head));
    let appender = Appender::new(queue.clone(), source.clone(), *identity, heads.clone(), election);
    tasks.spawn(appender.run());
    Ok(shared(options, Reader::One(source.clone()), Writer::One(queue), heads))
}

/// Several sources: the log is begun where all of them are empty; else a majority of its voters must answer, and a primary
/// be found or elected.
pub(crate) async fn opened_many(options: &StoreOptions, tasks: &TaskTracker) -> Result<Shared, OpenError> {
    let replicas = options.replicas();
    let heads = heads_of(&replicas).await;
    match newest(&heads) {
        Some(head) if head.config.config.version.0 > 0 => check_members(&head.config.config, &replicas)?,
        // a log that somebody else begins is as good as begun by this process
        _ if options.may_open => {
            let (voters, learners) = options.members();
            begin(&replicas, &options.config.first(voters, learners)).await?;
            let written = heads_of(&replicas).await;
            if let Some(head) = newest(&written) {
                check_members(&head.config.config, &replicas)?;
            }
        }
        _ => return Err(OpenError::NoPrimary),
    }
    // until the driver knows better, nothing of the log is shown
    let known = heads_of(&replicas).await;
    let Some(head) = newest(&known) else { return Err(first_failure(&known)) };
    let nothing = Head { tail: Point::start(options.identity.log), revision: 0, ..head.clone() };
    let heads = Arc::new(Heads::fed(nothing));
    let (driver, handle) = Driver::new(
        DriverOptions {
            name: options.name.clone(),
            log: options.identity.log,
            replicas: replicas.clone(),
            has_duties: options.has_duties(),
            failover_after: options.failover_after,
            opens_minority: options.opens_minority,
            primary: options.primary.clone(),
            queue: options.queue,
        },
        heads.clone(),
    );
    // it ends with its handles: reads go on when the store has drained
    tokio::spawn(driver.run());
    let mut views = handle.views();
    // a minority waits twice as long before it opens, and each wait is longer by up to a half
    let longest = options.ack_timeout + options.failover_after * if options.opens_minority { 4 } else { 2 };
    let is_known = tokio::time::timeout(longest, views.wait_for(|view| view.place.is_some())).await;
    if !matches!(is_known, Ok(Ok(_))) {
        return Err(no_primary(&handle.view()));
    }
    tasks.spawn(replay(options.name.clone(), handle.clone(), replicas.clone()));
    let has_duties = options.has_duties();
    tasks.spawn(share_duties(
        options.duties,
        has_duties,
        options.name.clone(),
        handle.clone(),
        replicas.clone(),
    ));
    let reader = Reader::Many(Arc::new(Capped::new(handle.clone(), replicas)));
    Ok(shared(options, reader, Writer::Many(handle), heads))
}

fn shared(options: &StoreOptions, reader: Reader, writer: Writer, heads: Arc<Heads>) -> Shared {
    let replicas = options.replicas();
    let limits = replicas.iter().fold(options.limits, |limits, one| limits.intersect(one.source.limits()));
    let (voters, learners) = options.members();
    let StoreOptions { name, source_name, identity, recent_bytes, .. } = options;
    Shared::new(
        name.clone(),
        source_name.clone(),
        reader,
        *identity,
        voters,
        learners,
        limits,
        writer,
        heads,
        *recent_bytes,
        replicas,
    )
}

/// Why a log whose sources do not answer cannot be opened.
fn no_primary(view: &View) -> OpenError {
    let failing =
        view.sources.iter().filter_map(|source| Some((&source.seen.name, source.failure.as_ref()?)));
    let failing: Vec<_> = failing.map(|(name, failure)| format!("{name}: {failure}")).collect();
    match failing.is_empty() {
        true => OpenError::NoPrimary,
        false => {
            Failure::Unreachable(format!("no primary was found or elected ({})", failing.join("; "))).into()
        }
    }
}

/// The head of the best log among those that answered.
fn newest(heads: &[Result<Head, Failure>]) -> Option<&Head> {
    let answered = heads.iter().filter_map(|head| head.as_ref().ok());
    answered.max_by_key(|head| (head.tail.term, head.tail.position))
}

fn first_failure(heads: &[Result<Head, Failure>]) -> OpenError {
    let failure = heads.iter().find_map(|head| head.as_ref().err().cloned());
    failure.map_or(OpenError::NoPrimary, OpenError::Source)
}
