//! What the gateway says of its store: asked by HTTP, where its metrics are.

use std::{collections::BTreeMap, time::Duration};

use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use polylog_crds::manifests::ObjectKey;

use crate::names::{self, HEALTH_PORT};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// More is no answer of a gateway.
const MOST_BYTES: usize = 1024 * 1024;

/// What it sees of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SeenSource {
    /// Whether it answers.
    pub(crate) is_up: bool,
    /// Events and seconds that it is behind, where there are several.
    pub(crate) lag_events: Option<u64>,
    /// The position that it cannot store.
    pub(crate) stalled: Option<u64>,
    pub(crate) lag_seconds: Option<u64>,
    /// Whether the log counts it as a voter, where there are several.
    pub(crate) votes: Option<bool>,
    /// Events that were set aside from its log.
    pub(crate) quarantined: Option<u64>,
    /// What verification found, where the gateway verifies.
    pub(crate) verified: SeenVerified,
}

/// What verification found in a source; shares in hundredths of a per cent, rounded down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SeenVerified {
    pub(crate) consistency: Option<u32>,
    pub(crate) coverage: Option<u32>,
    pub(crate) age_seconds: Option<u64>,
    pub(crate) missing: u64,
    pub(crate) differing: u64,
    pub(crate) extra: u64,
}

/// What was seen of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing, which says nothing of the store: sidecars may go on.
    Nothing(String),
    /// Its answer.
    Answered {
        /// Whether it has opened the log.
        is_open: bool,
        /// End of the log.
        position: Option<u64>,
        sources: BTreeMap<String, SeenSource>,
        /// The source that is primary, where there are several.
        primary: Option<String>,
        /// Its term.
        term: Option<u64>,
    },
}

impl Seen {
    pub(crate) fn position(&self) -> Option<u64> {
        match self {
            Seen::Nothing(_) => None,
            Seen::Answered { position, .. } => *position,
        }
    }

    pub(crate) fn term(&self) -> Option<u64> {
        match self {
            Seen::Nothing(_) => None,
            Seen::Answered { term, .. } => *term,
        }
    }

    pub(crate) fn source(&self, source: &str) -> Option<SeenSource> {
        match self {
            Seen::Nothing(_) => None,
            Seen::Answered { sources, .. } => sources.get(source).copied(),
        }
    }
}

/// Asks gateways.
#[derive(Debug, Clone)]
pub(crate) struct Gateways {
    client: Client<HttpConnector, Empty<bytes::Bytes>>,
}

impl Gateways {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        // one question every 30 s: a kept connection would only hide that a pod is gone
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client }
    }

    /// What the gateway of a store says.
    pub(crate) async fn ask(&self, key: &ObjectKey) -> Seen {
        let host = format!("{}.{}.svc", names::of_store(key), key.namespace);
        let uri = format!("http://{host}:{HEALTH_PORT}/metrics");
        let Ok(uri) = uri.parse::<Uri>() else { return Seen::Nothing(format!("{uri} is no address")) };
        match tokio::time::timeout(PATIENCE, self.read(uri)).await {
            Ok(Ok(text)) => read(&text, key.name.as_str()),
            Ok(Err(error)) => Seen::Nothing(format!("{host}:{HEALTH_PORT}: {error}")),
            Err(_) => Seen::Nothing(format!("{host}:{HEALTH_PORT} does not answer")),
        }
    }

    async fn read(&self, uri: Uri) -> Result<String, String> {
        let response =
            self.client.get(uri).await.map_err(|error| match std::error::Error::source(&error) {
                Some(source) => source.to_string(),
                None => error.to_string(),
            })?;
        if !response.status().is_success() {
            return Err(format!("answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        String::from_utf8(bytes.to_vec()).map_err(|_| "no text".to_owned())
    }
}

/// The lines about this store.
fn read(text: &str, store: &str) -> Seen {
    let label = format!("store=\"{store}\"");
    let (mut is_open, mut position, mut primary, mut term) = (false, None, None, None);
    let mut sources: BTreeMap<String, SeenSource> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let Some((labels, value)) = rest.split_once("} ") else { continue };
        if !labels.split(',').any(|found| found == label) {
            continue;
        }
        match name {
            "polylog_store_open" => is_open = value.trim() == "1",
            "polylog_position" => position = value.trim().parse().ok(),
            "polylog_term" => term = value.trim().parse().ok().filter(|term| *term > 0),
            _ => {}
        }
        let source = labels.split(',').find_map(|label| label.strip_prefix("source=\""));
        let Some(source) = source.and_then(|source| source.strip_suffix('"')) else { continue };
        let mut seen =
            |change: &dyn Fn(&mut SeenSource)| change(sources.entry(source.to_owned()).or_default());
        let seconds = |value: &str| value.trim().parse::<f64>().ok().map(|seconds| seconds as u64);
        let share = |value: &str| {
            let share = value.trim().parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share))?;
            Some((share * 10_000.0).floor() as u32)
        };
        match name {
            "polylog_source_up" => seen(&|seen| seen.is_up = value.trim() == "1"),
            "polylog_source_primary" if value.trim() == "1" => primary = Some(source.to_owned()),
            "polylog_source_votes" => seen(&|seen| seen.votes = Some(value.trim() == "1")),
            "polylog_source_stalled_position" => {
                let position = value.trim().parse().ok().filter(|position| *position > 0);
                seen(&|seen| seen.stalled = position);
            }
            "polylog_quarantined_events" => seen(&|seen| seen.quarantined = value.trim().parse().ok()),
            "polylog_replication_lag_events" => seen(&|seen| seen.lag_events = value.trim().parse().ok()),
            "polylog_consistency_ratio" => seen(&|seen| seen.verified.consistency = share(value)),
            "polylog_verified_ratio" => seen(&|seen| seen.verified.coverage = share(value)),
            "polylog_verified_age_seconds" => seen(&|seen| seen.verified.age_seconds = seconds(value)),
            "polylog_inconsistent_events" => {
                let count = value.trim().parse().unwrap_or_default();
                let is =
                    |finding: &str| labels.split(',').any(|label| label == format!("finding=\"{finding}\""));
                seen(&|seen| {
                    let verified = &mut seen.verified;
                    let findings = [
                        ("missing", &mut verified.missing),
                        ("differing", &mut verified.differing),
                        ("extra", &mut verified.extra),
                    ];
                    findings.into_iter().filter(|(name, _)| is(name)).for_each(|(_, to)| *to = count);
                })
            }
            "polylog_replication_lag_seconds" => seen(&|seen| seen.lag_seconds = seconds(value)),
            _ => {}
        }
    }
    Seen::Answered { is_open, position, sources, primary, term }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_of_the_store_count() {
        let text = "# TYPE polylog_store_open gauge\npolylog_store_open{store=\"payments\"} 1\n\
                    polylog_store_open{store=\"audit\"} 0\npolylog_position{store=\"audit\"} 9\n\
                    polylog_position{store=\"payments\"} 184211\n\
                    polylog_term{store=\"audit\"} 5\npolylog_term{store=\"payments\"} 3\n\
                    polylog_source_up{store=\"payments\",source=\"ledger\"} 0\n\
                    polylog_build_info{version=\"1\"} 1\n";
        let sources = BTreeMap::from([("ledger".to_owned(), SeenSource::default())]);
        let expected =
            Seen::Answered { is_open: true, position: Some(184_211), sources, primary: None, term: Some(3) };
        assert_eq!(read(text, "payments"), expected);
        let text = format!(
            "{text}polylog_source_up{{store=\"payments\",source=\"mirror\"}} 1\n\
             polylog_replication_lag_events{{store=\"payments\",source=\"mirror\"}} 12\n\
             polylog_source_stalled_position{{store=\"payments\",source=\"mirror\"}} 60\n\
             polylog_source_stalled_position{{store=\"payments\",source=\"ledger\"}} 0\n\
             polylog_replication_lag_seconds{{store=\"payments\",source=\"mirror\"}} 3.7\n\
             polylog_source_primary{{store=\"payments\",source=\"ledger\"}} 0\n\
             polylog_source_primary{{store=\"payments\",source=\"mirror\"}} 1\n\
             polylog_source_votes{{store=\"payments\",source=\"mirror\"}} 0\n\
             polylog_quarantined_events{{store=\"payments\",source=\"mirror\"}} 41\n\
             polylog_consistency_ratio{{store=\"payments\",source=\"mirror\"}} 0.99998\n\
             polylog_verified_ratio{{store=\"payments\",source=\"mirror\"}} 1.0\n\
             polylog_verified_age_seconds{{store=\"payments\",source=\"mirror\"}} 61.5\n\
             polylog_inconsistent_events{{store=\"payments\",source=\"mirror\",finding=\"missing\"}} 0\n\
             polylog_inconsistent_events{{store=\"payments\",source=\"mirror\",finding=\"extra\"}} 2\n"
        );
        let seen = read(&text, "payments");
        let verified = SeenVerified {
            consistency: Some(9_999),
            coverage: Some(10_000),
            age_seconds: Some(61),
            extra: 2,
            ..SeenVerified::default()
        };
        let mirror = SeenSource {
            is_up: true,
            lag_events: Some(12),
            lag_seconds: Some(3),
            votes: Some(false),
            quarantined: Some(41),
            stalled: Some(60),
            verified,
        };
        assert_eq!(seen.source("mirror"), Some(mirror));
        assert!(matches!(seen, Seen::Answered { primary: Some(primary), .. } if primary == "mirror"));
        let nothing = Seen::Answered {
            is_open: false,
            position: None,
            sources: BTreeMap::new(),
            primary: None,
            term: None,
        };
        assert_eq!(read("", "payments"), nothing);
    }
}
