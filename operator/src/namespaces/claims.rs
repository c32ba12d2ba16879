//! The claims of this installation, and those of others that it met.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Tended,
    claim::{self, holder, written},
};
use crate::election::{Judge, Step};

/// How long another installation's claim is taken for granted.
const AGAIN: Duration = Duration::from_secs(30);

/// How often a Lease that somebody writes at the same time is read again.
const ROUNDS: u32 = 3;
/// When whoever lost all of them comes back.
const SOON: Duration = Duration::from_secs(1);

/// One namespace.
#[derive(Debug, Default)]
struct Claim {
    judge: Judge,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody asked yet.
    #[default]
    Unknown,
    /// It is ours, since it was renewed, for so long.
    Held { lease: Box<Lease>, renewed: Instant, lasts: Duration },
    /// It is to be given up.
    GivenUp { lease: Box<Lease> },
    /// It is another one's, as was seen then.
    Taken { holder: String, checked: Instant },
}

impl State {
    /// Whether it is ours for certain: well before another one may take it.
    fn is_held(&self) -> bool {
        matches!(self, State::Held { renewed, lasts, .. } if renewed.elapsed() < *lasts * 2 / 3)
    }
}

pub(super) struct Claims {
    client: Client,
    installation: String,
    known: Mutex<HashMap<String, Claim>>,
    changed: Notify,
}

impl Claims {
    pub(super) fn new(client: Client, installation: String) -> Self {
        Self { client, installation, known: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn installation(&self) -> &str {
        &self.installation
    }

    /// Whose a namespace is; ours from now on if it is nobody's.
    pub(super) async fn claim(&self, namespace: &str) -> Result<Tended, kube::Error> {
        if let Some(known) = self.known(namespace) {
            return Ok(known);
        }
        self.attempt(namespace).await
    }

    /// What is known without asking.
    fn known(&self, namespace: &str) -> Option<Tended> {
        let known = self.known.lock();
        let claim = known.get(namespace)?;
        match &claim.state {
            state if state.is_held() => Some(Tended::Ours),
            State::Taken { holder, checked } if checked.elapsed() < AGAIN => {
                Some(Tended::Taken { holder: holder.clone(), is_news: false, again: self.again(&known) })
            }
            _ => None,
        }
    }

    /// When to ask again for a namespace of another one: many are asked for more seldom.
    fn again(&self, known: &HashMap<String, Claim>) -> Duration {
        AGAIN.max(Duration::from_secs(known.len() as u64))
    }

    /// Asks for the Lease, and takes it if it is free.
    async fn attempt(&self, namespace: &str) -> Result<Tended, kube::Error> {
        let api = self.api(namespace);
        for _ in 0..ROUNDS {
            // another reconcile of this process may have claimed it since
            if let Some(known) = self.known(namespace) {
                return Ok(known);
            }
            let found = api.get_opt(claim::NAME).await?;
            let (step, lasts) = {
                let mut known = self.known.lock();
                let lasts = claim::duration(known.len());
                let judge = &mut known.entry(namespace.to_owned()).or_default().judge;
                (judge.decide(&self.installation, found.as_ref(), Instant::now()), lasts)
            };
            let number = found.as_ref().and_then(|lease| lease.spec.as_ref()?.lease_transitions).unwrap_or(1);
            let began = Instant::now();
            let outcome = match step {
                Step::Wait => {
                    let holder = found.as_ref().map(holder).unwrap_or_default().to_owned();
                    return Ok(self.taken(namespace, holder));
                }
                Step::Create => {
                    let lease = written(None, &self.installation, 1, lasts);
                    api.create(&PostParams::default(), &lease).await
                }
                Step::Take { number } => self.replace(&api, found, number, lasts).await,
                Step::Renew => self.replace(&api, found, number, lasts).await,
            };
            match outcome {
                Ok(lease) => {
                    self.held(namespace, lease, began, lasts);
                    return Ok(Tended::Ours);
                }
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error),
            }
        }
        // somebody wrote in between each time: whose it is will be seen soon
        Ok(Tended::Taken { holder: String::new(), is_news: false, again: SOON })
    }

    async fn replace(
        &self,
        api: &Api<Lease>,
        found: Option<Lease>,
        number: i32,
        lasts: Duration,
    ) -> Result<Lease, kube::Error> {
        let lease = written(found, &self.installation, number, lasts);
        api.replace(claim::NAME, &PostParams::default(), &lease).await
    }

    fn held(&self, namespace: &str, lease: Lease, renewed: Instant, lasts: Duration) {
        let state = State::Held { lease: Box::new(lease), renewed, lasts };
        let before = {
            let mut known = self.known.lock();
            let claim = known.entry(namespace.to_owned()).or_default();
            std::mem::replace(&mut claim.state, state)
        };
        if !matches!(before, State::Held { .. }) {
            tracing::info!(
                event = "namespace_claimed",
                namespace,
                "this installation looks after a namespace"
            );
            self.changed.notify_one();
        }
    }

    fn taken(&self, namespace: &str, holder: String) -> Tended {
        let mut known = self.known.lock();
        let again = self.again(&known);
        let claim = known.entry(namespace.to_owned()).or_default();
        let is_news = !matches!(&claim.state, State::Taken { holder: before, .. } if *before == holder);
        claim.state = State::Taken { holder: holder.clone(), checked: Instant::now() };
        drop(known);
        if is_news {
            tracing::warn!(
                event = "namespace_taken",
                namespace,
                holder,
                "another installation looks after a namespace; this one leaves it alone"
            );
        }
        Tended::Taken { holder, is_news, again }
    }

    /// Lets another installation have a namespace.
    pub(super) fn give_up(&self, namespace: &str) {
        let mut known = self.known.lock();
        match known.remove(namespace) {
            Some(Claim { state: State::Held { lease, .. }, judge }) => {
                known.insert(namespace.to_owned(), Claim { judge, state: State::GivenUp { lease } });
                self.changed.notify_one();
            }
            Some(claim @ Claim { state: State::GivenUp { .. }, .. }) => {
                known.insert(namespace.to_owned(), claim);
            }
            _ => {}
        }
    }

    /// Renews and releases, one at a time, as long as it is polled.
    pub(super) async fn keep(&self) {
        loop {
            let (next, wait) = self.next();
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    if let Some(namespace) = next {
                        self.renew(&namespace).await;
                    }
                }
                () = self.changed.notified() => {}
            }
        }
    }

    /// Which namespace is next, and when.
    fn next(&self) -> (Option<String>, Duration) {
        let known = self.known.lock();
        let every = claim::every(known.len());
        let due = |claim: &Claim| match &claim.state {
            State::Held { renewed, .. } => Some(every.saturating_sub(renewed.elapsed())),
            State::GivenUp { .. } => Some(Duration::ZERO),
            State::Unknown | State::Taken { .. } => None,
        };
        let all = known.iter().filter_map(|(namespace, claim)| Some((due(claim)?, namespace)));
        match all.min() {
            Some((wait, namespace)) => (Some(namespace.clone()), wait),
            None => (None, every),
        }
    }

    async fn renew(&self, namespace: &str) {
        let (lease, is_given_up, lasts) = {
            let known = self.known.lock();
            let lasts = claim::duration(known.len());
            match known.get(namespace).map(|claim| &claim.state) {
                Some(State::Held { lease, .. }) => (lease.clone(), false, lasts),
                Some(State::GivenUp { lease }) => (lease.clone(), true, lasts),
                _ => return,
            }
        };
        let api = self.api(namespace);
        let number = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(1);
        if is_given_up {
            let free = written(Some(*lease), "", number, lasts);
            // whoever wrote in between has it
            if let Err(error) = api.replace(claim::NAME, &PostParams::default(), &free).await {
                tracing::debug!(%error, namespace, "a claim is not released");
            }
            let mut known = self.known.lock();
            if matches!(known.get(namespace).map(|claim| &claim.state), Some(State::GivenUp { .. })) {
                known.remove(namespace);
            }
            return;
        }
        let began = Instant::now();
        match self.replace(&api, Some(*lease), number, lasts).await {
            Ok(lease) => self.held(namespace, lease, began, lasts),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                // the Lease says whose it is now; if the namespace is gone, nothing of it is asked for again
                self.known.lock().remove(namespace);
                if let Err(error) = self.attempt(namespace).await {
                    tracing::debug!(%error, namespace, "a namespace is not claimed again");
                    self.known.lock().remove(namespace);
                }
            }
            Err(error) => {
                tracing::debug!(%error, namespace, "a claim is not renewed");
                // not at once again: the others have their turn
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    fn api(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client.clone(), namespace)
    }
}
