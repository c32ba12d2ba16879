//! `kubectl polylog inject`: as `polylog inject`, with the EventStores of the cluster.

use clap::Args;
use polylog_crds::{event_store::EventStoreSpec, values::NamespaceName};

use super::{
    kubectl::{EVENT_STORES, Kubectl, Scope},
    object::text,
};
use crate::{
    exit::{Failure, Outcome},
    inject::{ManifestArgs, write},
};

#[derive(Debug, Args)]
pub(super) struct InjectArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
}

pub(super) fn run(kubectl: &Kubectl, args: InjectArgs) -> Outcome {
    let namespace = kubectl.namespace()?;
    let namespace: NamespaceName =
        namespace.parse().map_err(|error| Failure::Usage(format!("--namespace: {error}")))?;
    // those of the files win: they may be about to be applied with their pods
    let of_cluster = |namespace: &NamespaceName| {
        let found = kubectl.list(EVENT_STORES, &[], Scope::In(namespace.as_str()))?;
        let spec = |object: &serde_json::Value| {
            let name = text(object, "/metadata/name");
            let spec: EventStoreSpec = serde_json::from_value(object["spec"].clone()).map_err(|error| {
                let of = format!("EventStore {namespace}/{name}");
                Failure::Failed(anyhow::anyhow!("{of} is not as this version knows it: {error}"))
            })?;
            Ok((name.to_owned(), spec))
        };
        found.iter().map(spec).collect()
    };
    write(args.manifests, namespace, Some(&of_cluster))
}
