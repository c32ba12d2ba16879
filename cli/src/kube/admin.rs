//! `kubectl polylog verify | switch | failover | quarantine`: what an administrator does with a store's log, by its gateway.

use clap::Args;
use futures::future::LocalBoxFuture;
use polylog_api::Code;
use polylog_client::{Client, ClientError};

use super::{gateway::Gateway, kubectl::Kubectl};
use crate::{
    commands::admin,
    exit::{Failure, Outcome},
    output::Format,
};

/// Of which store.
#[derive(Debug, Args)]
pub(super) struct AdminArgs<T: Args> {
    /// The EventStore
    store: String,
    #[command(flatten)]
    what: T,
    /// Form of what is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

type Work<'a> = LocalBoxFuture<'a, Outcome>;

impl<T: Args + Clone> AdminArgs<T> {
    /// Does it in the one pod of the gateway that may, and says in which form failures are told.
    pub(super) fn run(
        self,
        kubectl: &Kubectl,
        work: impl for<'a> Fn(&'a Client, T, Format) -> Work<'a>,
    ) -> (Outcome, Format) {
        (self.outcome(kubectl, work), self.output)
    }

    fn outcome(
        &self,
        kubectl: &Kubectl,
        work: impl for<'a> Fn(&'a Client, T, Format) -> Work<'a>,
    ) -> Outcome {
        let gateway = Gateway::find(kubectl, &self.store)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut outcome = Ok(());
        for pod in gateway.pods() {
            let (client, _forward) = gateway.client(pod)?;
            outcome = runtime.block_on(work(&client, self.what.clone(), self.output));
            if code(&outcome) != Some(Code::NotSupported) {
                break;
            }
        }
        if code(&outcome) == Some(Code::AccessDenied) {
            let store = &self.store;
            eprintln!(
                "spec.access of {store} has to give its gateway's service account, polylog-{store}, the verb admin"
            );
        }
        outcome
    }
}

/// Why it was refused, if it was: `not_supported` where another process does such things for the store.
fn code(outcome: &Outcome) -> Option<Code> {
    let Err(Failure::Client(ClientError::Refused(problem))) = outcome else { return None };
    Some(problem.code)
}

pub(super) type Verify = AdminArgs<admin::VerifyArgs>;
pub(super) type Switch = AdminArgs<admin::SwitchArgs>;
pub(super) type Failover = AdminArgs<admin::FailoverArgs>;
pub(super) type Quarantine = AdminArgs<admin::QuarantineArgs>;
