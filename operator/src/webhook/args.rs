use clap::Args;
use jiff::SignedDuration;
use polylog_crds::values::ObjectName;

use crate::certificates::Lifetimes;

/// How pods are given their sidecar.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// Name of the MutatingWebhookConfiguration that leads here; without it there is no webhook
    #[arg(long, env = "POLYLOG_WEBHOOK", value_name = "NAME")]
    pub webhook: Option<ObjectName>,
    /// Port of the webhook; 0 chooses one
    #[arg(long, env = "POLYLOG_WEBHOOK_PORT", default_value_t = 9443, value_name = "PORT")]
    pub webhook_port: u16,
    /// Service in front of it
    #[arg(long, env = "POLYLOG_WEBHOOK_SERVICE", default_value = "polylog-webhook", value_name = "NAME")]
    pub webhook_service: ObjectName,
    /// Further names or addresses by which the API server may call it, separated by commas
    #[arg(long, env = "POLYLOG_WEBHOOK_HOSTS", value_delimiter = ',', value_name = "HOSTS")]
    pub webhook_hosts: Vec<String>,
    /// Secret with its certificates, which are made and renewed here
    #[arg(long, env = "POLYLOG_WEBHOOK_SECRET", default_value = "polylog-webhook", value_name = "NAME")]
    pub webhook_secret: ObjectName,
    /// How long the authority of its certificates lives, in seconds
    #[arg(long, env = "POLYLOG_WEBHOOK_AUTHORITY_SECONDS", value_parser = seconds, value_name = "SECONDS")]
    pub webhook_authority: Option<SignedDuration>,
    /// How long its certificates live, in seconds
    #[arg(long, env = "POLYLOG_WEBHOOK_CERTIFICATE_SECONDS", value_parser = seconds, value_name = "SECONDS")]
    pub webhook_certificate: Option<SignedDuration>,
    /// How long an old and a new authority are trusted side by side, in seconds
    #[arg(long, env = "POLYLOG_WEBHOOK_OVERLAP_SECONDS", value_parser = seconds, value_name = "SECONDS")]
    pub webhook_overlap: Option<SignedDuration>,
    /// When the sidecar's image is pulled; Kubernetes decides if absent
    #[arg(
        long,
        env = "POLYLOG_SIDECAR_PULL_POLICY",
        value_parser = ["Always", "IfNotPresent", "Never"],
        value_name = "POLICY"
    )]
    pub sidecar_pull_policy: Option<String>,
}

impl WebhookArgs {
    pub(super) fn lifetimes(&self) -> Lifetimes {
        let default = Lifetimes::default();
        Lifetimes {
            authority: self.webhook_authority.unwrap_or(default.authority),
            serving: self.webhook_certificate.unwrap_or(default.serving),
            overlap: self.webhook_overlap.unwrap_or(default.overlap),
        }
    }
}

fn seconds(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(SignedDuration::from_secs(seconds.into())),
        _ => Err("a whole number of seconds, at least 1".into()),
    }
}
