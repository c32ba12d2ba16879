//! What a store needs to be open, with one source and with several.

use std::{fmt, sync::Arc};

use polylog_log::{Failure, Head, Point};

use crate::{
    Leadership, OpenError, Store, StoreOptions,
    appender::{Appender, Queue},
    bootstrap::{Election, open_log},
    heads::Heads,
    reader::{Capped, Reader},
    replicated::{
        Driver, DriverOptions, Handle, Replicated, View, begin, check_members, heads_of, share_duties,
    },
    shared::Shared,
    writer::Writer,
};

/// A log that is not open yet, for as long as it takes. It ends with this, unless it was opened.
pub struct Unopened {
    options: StoreOptions,
    /// With one source: once that leads.
    store: Option<Store>,
    is_looked_after: bool,
}

impl Unopened {
    /// Looks for the log, and begins it where all of its sources are empty. From now on its sources are looked at, and
    /// whoever has the duties elects.
    pub async fn begin(options: StoreOptions) -> Result<Self, OpenError> {
        options.config.check(options.members().0.len())?;
        let store = match options.others.is_empty() {
            true => None,
            false => Some(several(&options).await?),
        };
        Ok(Self { options, store, is_looked_after: false })
    }

    /// What can be told of it, and done about its primary; `None` = nothing, before its only source answered.
    pub fn leadership(&self) -> Option<Leadership> {
        self.store.as_ref().map(Store::leadership)
    }

    /// Waits until a source leads the log, as long as an election may take, and brings `$config` and `$policy` to what the
    /// options say. After an error it may be tried again.
    pub async fn open(&mut self) -> Result<Store, OpenError> {
        let store = match &self.store {
            Some(store) => store.clone(),
            None => self.store.insert(one(&self.options).await?).clone(),
        };
        if let Writer::Many(handle) = &store.shared().writer {
            self.led(handle).await?;
        }
        if !std::mem::replace(&mut self.is_looked_after, true) {
            store.look_after();
        }
        let longest = self.options.longest_opening();
        let deadline = || tokio::time::Instant::now().into_std() + longest;
        let may_open = self.options.may_open;
        if may_open {
            store.shared().set_config(&self.options.config, deadline()).await?;
        }
        let failed = |error| OpenError::Configure { what: "$policy", error: Box::new(error) };
        match self.options.policy.clone().filter(|_| may_open) {
            Some(policy) => store.shared().set_policy(policy, deadline()).await.map_err(failed)?,
            None => {
                let (version, policy) = store.shared().read_policy().await?;
                store.shared().publish_policy(version, policy);
            }
        }
        Ok(store)
    }

    async fn led(&self, handle: &Handle) -> Result<(), OpenError> {
        let StoreOptions { ack_timeout, failover_after, opens_minority, .. } = self.options;
        // a minority waits twice as long before it opens, and each wait is longer by up to a half
        let longest = ack_timeout + failover_after * if opens_minority { 4 } else { 2 };
        let mut views = handle.views();
        let is_led = tokio::time::timeout(longest, views.wait_for(|view| view.place.is_some())).await;
        if matches!(is_led, Ok(Ok(_))) { Ok(()) } else { Err(no_primary(&handle.view())) }
    }
}

impl fmt::Debug for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unopened").field("name", &self.options.name).finish_non_exhaustive()
    }
}

/// One source: what it holds as primary has every ack level.
async fn one(options: &StoreOptions) -> Result<Store, OpenError> {
    let StoreOptions { source, identity, .. } = options;
    let mut election = Election::new(*identity, options.source_name.clone(), options.may_open);
    let head = open_log(&**source, &mut election, options.ack_timeout).await?;
    let queue = Queue::new(options.queue, &head);
    let heads = Arc::new(Heads::new(head));
    let appender = Appender::new(queue.clone(), source.clone(), *identity, heads.clone(), election);
    let shared = shared(options, Reader::One(source.clone()), Writer::One(queue), heads);
    let store = Store::unopened(shared, options);
    store.tasks().spawn(appender.run());
    Ok(store)
}

/// Several sources: the log is begun where all of them are empty; else a majority of its voters must be known.
async fn several(options: &StoreOptions) -> Result<Store, OpenError> {
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
    let reader = Reader::Many(Arc::new(Capped::new(handle.clone(), replicas.clone())));
    let store = Store::unopened(shared(options, reader, Writer::Many(handle.clone()), heads), options);
    let (name, has_duties) = (options.name.clone(), options.has_duties());
    store.tasks().spawn(share_duties(options.duties, has_duties, name, handle, replicas));
    Ok(store)
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

/// Why no source leads the log.
fn no_primary(view: &View) -> OpenError {
    let failing = |source: &Replicated| Some((source.seen.name.clone(), source.failure.clone()?));
    let away: Vec<_> = view.sources.iter().filter_map(failing).collect();
    match away.is_empty() && !view.has_duties {
        true => OpenError::NoPrimary,
        false => OpenError::Leaderless { away },
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
