use std::time::Duration;

use clap::Parser;
use polylog_crds::values::{NamespaceName, ObjectName};

use crate::WebhookArgs;

/// Reconciles EventStores, ReplicationStrategies and Projections
#[derive(Debug, Clone, Parser)]
#[command(name = "polylog-operator", version)]
pub struct OperatorArgs {
    /// Namespaces to watch, separated by commas; every namespace if absent
    #[arg(long, env = "POLYLOG_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACES")]
    pub watch_namespaces: Vec<NamespaceName>,
    /// Watch the namespaces that have the label polylog.dev/enabled, now or later
    #[arg(long, env = "POLYLOG_WATCH_LABELLED", conflicts_with = "watch_namespaces")]
    pub watch_labelled: bool,
    /// Namespace of this process, for its Lease
    #[arg(long, env = "POLYLOG_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: NamespaceName,
    /// Name of this pod, for its Lease and its events
    #[arg(long, env = "POLYLOG_POD", value_name = "NAME")]
    pub pod: ObjectName,
    /// Service account of this process, for the command that lets it read Secrets
    #[arg(long, env = "POLYLOG_SERVICE_ACCOUNT", default_value = "polylog-operator", value_name = "NAME")]
    pub service_account: ObjectName,
    /// Image of the gateway
    #[arg(long, env = "POLYLOG_SIDECAR_IMAGE", value_name = "IMAGE")]
    pub sidecar_image: String,
    /// Name of the Lease that makes one of several operators the leader
    #[arg(long, env = "POLYLOG_LEASE", default_value = "polylog-operator", value_name = "NAME")]
    pub lease: ObjectName,
    /// Secret, in the namespace of this process, of the authority that vouches for gateways; made if it is not there
    #[arg(
        long,
        env = "POLYLOG_AUTHORITY_SECRET",
        default_value = "polylog-operator-authority",
        value_name = "NAME"
    )]
    pub authority_secret: ObjectName,
    /// Port of /livez, /readyz and /metrics; 0 chooses one
    #[arg(long, env = "POLYLOG_HEALTH_PORT", default_value_t = 7301, value_name = "PORT")]
    pub health_port: u16,
    /// How often each database is compared with its manifest, in seconds
    #[arg(
        long = "drift-seconds",
        env = "POLYLOG_DRIFT_SECONDS",
        default_value = "600",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub drift_check: Duration,
    /// Also take databases that may lose what they acknowledged: for throw-away servers
    #[arg(long, env = "POLYLOG_UNSAFE_DURABILITY")]
    pub unsafe_durability: bool,
    /// How pods are given their sidecar
    #[command(flatten)]
    pub webhook: WebhookArgs,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        _ => Err("a whole number of seconds, at least 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_a_list_and_none_means_every_one() {
        let required = ["polylog-operator", "--namespace=ops", "--pod=a", "--sidecar-image=i"];
        let args = OperatorArgs::try_parse_from(required).expect("right");
        assert!(args.watch_namespaces.is_empty());
        assert_eq!(args.drift_check, Duration::from_secs(600));
        let listed = required.into_iter().chain(["--watch-namespaces=shop,reports"]);
        let args = OperatorArgs::try_parse_from(listed).expect("right");
        assert_eq!(args.watch_namespaces.len(), 2);
        let labelled = required.into_iter().chain(["--watch-labelled"]);
        assert!(OperatorArgs::try_parse_from(labelled.clone()).expect("right").watch_labelled);
        assert!(OperatorArgs::try_parse_from(labelled.chain(["--watch-namespaces=shop"])).is_err());
        for wrong in ["--watch-namespaces=Shop", "--drift-seconds=0", "--drift-seconds=1m"] {
            assert!(OperatorArgs::try_parse_from(required.into_iter().chain([wrong])).is_err(), "{wrong}");
        }
    }
}
