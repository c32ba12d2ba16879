//! `kubectl polylog status`: what EventStores say of themselves, and what to do.

use std::fmt::Write;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    advice::{is_obstacle, steps},
    kubectl::{EVENT_STORES, Kubectl, KubectlError, Scope},
    object::{Store, list, shown, text},
    output::{Form, OutputArgs, print},
    plan,
    pods::{self, Pod, by_sidecar},
};
use crate::{
    exit::Outcome,
    output::{rendered, table},
};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The EventStore; all of them if absent
    store: Option<String>,
    /// In all namespaces
    #[arg(short = 'A', long, conflicts_with = "store")]
    all_namespaces: bool,
    /// Only those with these labels
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "store")]
    selector: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(kubectl: &Kubectl, args: &StatusArgs) -> Outcome {
    let flags = kubectl.shown_flags();
    let form = args.output.output;
    if let Some(name) = &args.store {
        let store = Store(kubectl.get(EVENT_STORES, name, Scope::Given)?);
        let pods = match pods::ask(kubectl, &store) {
            Ok((pods, _)) => Ok(pods),
            Err(KubectlError::Forbidden(words)) => Err(words),
            Err(error) => return Err(error.into()),
        };
        let waiting = plan::waiting(kubectl, &store)?.map(|waiting| waiting.summary());
        return print(
            form,
            || detail(&store, &pods, waiting.as_deref(), form == Form::Wide, &flags),
            || document(&store, Some(&pods), &flags),
        );
    }
    let scope = if args.all_namespaces { Scope::All } else { Scope::Given };
    let selector = args.selector.as_ref().map(|labels| format!("--selector={labels}"));
    let selector: Vec<&str> = selector.iter().map(String::as_str).collect();
    let stores = kubectl.list(EVENT_STORES, &selector, scope)?;
    let stores: Vec<Store> = stores.into_iter().map(Store).collect();
    if stores.is_empty() && matches!(form, Form::Table | Form::Wide) {
        eprintln!("no EventStores here");
        return Ok(());
    }
    print(
        form,
        || overview(&stores, args.all_namespaces, form == Form::Wide, &flags),
        || stores.iter().map(|store| document(store, None, &flags)).collect(),
    )
}

/// One line each, and what to do below.
fn overview(stores: &[Store], with_namespace: bool, is_wide: bool, flags: &str) -> String {
    let mut header =
        vec!["NAME", "READY", "AVAILABLE", "PRIMARY", "SOURCES", "LAG", "CONSISTENT", "PODS", "PLAN", "AGE"];
    if with_namespace {
        header.insert(0, "NAMESPACE");
    }
    if is_wide {
        header.extend(["STRATEGY", "TERM", "POSITION", "REASON"]);
    }
    let mut lines = table(&header);
    let mut advice = String::new();
    for store in stores {
        let status = |path: &str| shown(&store.0, path);
        let mut cells = vec![
            store.name().to_owned(),
            store.says("Ready").to_owned(),
            store.says("Available").to_owned(),
            status("/status/primary"),
            status("/status/summary/sources"),
            status("/status/summary/lag"),
            status("/status/summary/consistent"),
            status("/status/summary/pods"),
            store.plan_hash().unwrap_or("-").to_owned(),
            age(text(&store.0, "/metadata/creationTimestamp")),
        ];
        if with_namespace {
            cells.insert(0, store.namespace().to_owned());
        }
        if is_wide {
            cells.extend(["/status/strategy/type", "/status/term", "/status/position"].map(status));
            cells.push(store.condition("Ready").map_or("-", |ready| ready.reason).to_owned());
        }
        lines.add_row(cells);
        // writing to a string cannot fail
        for step in steps(store, flags) {
            let _ = writeln!(advice, "{}/{}: {step}", store.namespace(), store.name());
        }
    }
    let lines = rendered(&lines);
    if advice.is_empty() { lines } else { format!("{lines}\nWhat to do\n{advice}") }
}

/// Everything about one.
fn detail(
    store: &Store,
    pods: &Result<Vec<Pod>, String>,
    waiting: Option<&str>,
    is_wide: bool,
    flags: &str,
) -> String {
    let status = |path: &str| shown(&store.0, path);
    let ready = store.condition("Ready");
    let mut facts = table(&[]);
    let strategy = format!(
        "{} (acks {}, failover {})",
        status("/status/strategy/type"),
        status("/status/strategy/acks"),
        status("/status/strategy/failover")
    );
    let mut row = |name: &str, value: String| {
        facts.add_row(vec![name.to_owned(), value]);
    };
    row("store", format!("{}/{}", store.namespace(), store.name()));
    row(
        "ready",
        format!("{} {}", store.says("Ready"), ready.map_or("", |ready| ready.reason)).trim_end().to_owned(),
    );
    row("available", store.says("Available").to_owned());
    row("log", status("/status/storeId"));
    row("primary", status("/status/primary"));
    row("term", status("/status/term"));
    row("position", status("/status/position"));
    row("lag", status("/status/summary/lag"));
    row("strategy", strategy);
    row("endpoint", status("/status/endpoint"));
    row("age", age(text(&store.0, "/metadata/creationTimestamp")));

    let mut sources = table(&["SOURCE", "ROLE", "STATE", "POSITION", "LAG", "FORMAT", "MESSAGE"]);
    for source in list(&store.0, "/status/sources") {
        let paths = ["/name", "/role", "/state", "/position", "/lagEvents", "/formatVersion", "/message"];
        sources.add_row(paths.map(|path| shown(source, path)).to_vec());
    }
    let mut conditions = table(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in store.conditions() {
        // the rest is as it should be, or not known in this version
        if is_wide || is_obstacle(&condition) {
            let since = age(condition.since);
            let cells = [condition.type_, condition.status, condition.reason, &since, condition.message];
            conditions.add_row(cells.map(str::to_owned).to_vec());
        }
    }
    let mut text = format!("{}\n{}", rendered(&facts), rendered(&sources));
    // writing to a string cannot fail
    let _ = match pods {
        Ok(pods) if pods.is_empty() => writeln!(text, "\nno pod asks for its sidecar"),
        Ok(pods) => {
            let mut sidecars = table(&["SIDECAR", "PODS"]);
            for (sidecar, count) in by_sidecar(pods) {
                sidecars.add_row(vec![sidecar, count.to_string()]);
            }
            write!(text, "\n{}", rendered(&sidecars))
        }
        Err(why) => writeln!(
            text,
            "\npods cannot be listed: {why}\nthe operator counts {} with the current sidecar",
            status("/status/summary/pods")
        ),
    };
    if let Some(waiting) = waiting {
        let _ = write!(text, "\n{waiting}");
    }
    if conditions.row_iter().next().is_some() {
        let _ = write!(text, "\n{}", rendered(&conditions));
    }
    let steps = steps(store, flags);
    if !steps.is_empty() {
        let _ = write!(text, "\nWhat to do\n{}\n", steps.join("\n"));
    }
    text
}

/// For programs: the status as it is, and what this adds.
fn document(store: &Store, pods: Option<&Result<Vec<Pod>, String>>, flags: &str) -> Value {
    let mut document = json!({
        "namespace": store.namespace(),
        "name": store.name(),
        "status": store.0["status"],
        "steps": steps(store, flags),
    });
    if let Some(Ok(pods)) = pods {
        let pod = |pod: &Pod| json!({ "name": pod.name, "sidecar": pod.sidecar.shown(), "isCurrent": pod.sidecar.is_current() });
        document["pods"] = pods.iter().map(pod).collect();
    }
    document
}

/// How long ago, as kubectl says it; `-` where no time is told.
fn age(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => span(Timestamp::now().as_second() - time.as_second()),
        Err(_) => "-".to_owned(),
    }
}

fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..=119 => format!("{seconds}s"),
        seconds @ 120..=7199 => format!("{}m", seconds / 60),
        seconds @ 7200..=172_799 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pods::Sidecar, *};

    fn store() -> Store {
        Store(json!({
            "metadata": { "name": "payments", "namespace": "shop", "generation": 2 },
            "status": {
                "observedGeneration": 2, "primary": "ledger", "term": 3, "position": 184211,
                "summary": { "sources": "1/1", "lag": "", "consistent": "", "pods": "11/12" },
                "sources": [{ "name": "ledger", "role": "Voter", "state": "InSync", "formatVersion": 1 }],
                "plan": { "hash": "a1b2", "phase": "Pending" },
                "conditions": [
                    { "type": "Ready", "status": "False", "reason": "ApprovalRequired", "message": "1 step waits" },
                    { "type": "Available", "status": "True", "reason": "Serving" },
                    { "type": "Replicating", "status": "Unknown", "reason": "NotInThisVersion" },
                ],
            },
        }))
    }

    #[test]
    fn an_overview_has_a_line_for_each_and_says_what_to_do() {
        let text = overview(&[store()], true, true, "");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("NAMESPACE") && lines[0].contains("REASON"), "{text}");
        let cells: Vec<&str> = lines[1].split_whitespace().collect();
        let wanted =
            ["shop", "payments", "False", "True", "ledger", "1/1", "-", "-", "11/12", "a1b2", "-", "-", "3"];
        assert_eq!(&cells[..13], wanted, "{text}");
        assert!(lines[4].contains("kubectl polylog approve payments a1b2"), "{text}");
        assert!(!overview(&[store()], false, false, "").contains("NAMESPACE"));
    }

    #[test]
    fn a_detail_shows_obstacles_and_with_wide_every_condition() {
        let pods = Ok(vec![
            Pod { name: "a".into(), owner: None, sidecar: Sidecar::Current("0.1.0".into()) },
            Pod { name: "b".into(), owner: None, sidecar: Sidecar::None },
        ]);
        let text = detail(&store(), &pods, Some("plan a1b2\n"), false, "");
        for wanted in
            ["shop/payments", "184211", "ledger", "0.1.0", "none", "plan a1b2", "1 step waits", "What to do"]
        {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
        assert!(!text.contains("Replicating"), "{text}");
        assert!(detail(&store(), &pods, None, true, "").contains("Replicating"));
        let unseen = detail(&store(), &Err("pods is forbidden".into()), None, false, "");
        assert!(unseen.contains("pods is forbidden") && unseen.contains("11/12"), "{unseen}");
        assert_eq!(document(&store(), Some(&pods), "")["pods"][1]["isCurrent"], false);
    }

    #[test]
    fn ages_are_those_of_kubectl() {
        assert_eq!([0, 119, 120, 7199, 7200, 172_800].map(span), ["0s", "119s", "2m", "119m", "2h", "2d"]);
        assert_eq!(age("yesterday"), "-");
    }
}
