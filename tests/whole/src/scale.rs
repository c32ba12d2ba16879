use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use polylog_test_bed::{Kubernetes, PostgresServer, Tier};
use serde_json::{Value, json};

use crate::sidecar::pause;

/// The operator's namespace and service account.
const ACCOUNT: &str = "system:serviceaccount:ops:polylog-operator";
/// A way through the API server of the operator alone, so that it counts the operator's calls apart from all others.
const FLOW: &str = "polylog-operator";
/// kubectl processes at the same time.
const HANDS: usize = 4;

#[derive(clap::Args)]
pub struct Args {
    /// The operator; default: found in PATH.
    #[arg(long, default_value = "polylog-operator")]
    binary: PathBuf,
    /// The repository, for the kinds' definitions and the operator's roles.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    #[arg(long, default_value_t = 100)]
    namespaces: usize,
    #[arg(long, default_value_t = 10)]
    stores_each: usize,
    #[arg(long, default_value_t = 10)]
    pods_each: usize,
    /// Seconds of waiting for the steady state, at most.
    #[arg(long, default_value_t = 900)]
    patience: u64,
    /// Seconds of idleness that are measured.
    #[arg(long, default_value_t = 120)]
    idle: u64,
    /// Most calls a second when idle.
    #[arg(long, default_value_t = 5.0)]
    calls: f64,
    /// Most MB (10^6 bytes) resident at any time.
    #[arg(long, default_value_t = 100)]
    memory: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let (cluster, postgres) = (Kubernetes::start(Tier::Controllers), PostgresServer::start());
    let bed = Bed { args, cluster, database: postgres.create_database(), postgres };
    bed.install()?;
    let begin = Instant::now();
    let operator = Operator::start(&bed)?;
    let stores = args.namespaces * args.stores_each;
    let pods = stores * args.pods_each;
    bed.fill()?;
    let applied = begin.elapsed();
    println!("{stores} EventStores and the owners of {pods} pods applied in {} s", applied.as_secs());
    bed.until_steady(stores, pods)?;
    println!("steady {} s after the first was applied, {} s after the last", begin.elapsed().as_secs(), {
        (begin.elapsed() - applied).as_secs()
    });
    let calls = bed.calls()?;
    println!("{calls} calls until then; {}", operator.memory()?);

    // what was begun comes to rest: statuses are written every 30 s at most
    pause(Duration::from_secs(60));
    let (before, processor, since) = (bed.calls()?, operator.processor()?, Instant::now());
    let kinds = bed.kinds_of_calls()?;
    pause(Duration::from_secs(args.idle));
    let seconds = since.elapsed().as_secs_f64();
    let rate = (bed.calls()? - before) as f64 / seconds;
    let busy = (operator.processor()? - processor) / seconds * 100.0;
    println!("idle: {rate:.2} calls a second, {busy:.1} % of a processor; {}", operator.memory()?);
    println!("everybody's calls meanwhile:");
    for (count, kind) in more(&kinds, &bed.kinds_of_calls()?).into_iter().take(12) {
        println!("  {count} {kind}");
    }
    ensure!(rate <= args.calls, "more than {} calls a second", args.calls);
    let most = operator.peak()?;
    ensure!(most <= args.memory * 1000, "{most} kB resident: more than {} MB", args.memory);
    Ok(())
}

struct Bed<'a> {
    args: &'a Args,
    cluster: Kubernetes,
    database: String,
    postgres: PostgresServer,
}

impl Bed<'_> {
    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.cluster.run_kubectl(arguments, input);
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {told}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The kinds, the operator's rights everywhere, and what counts its calls.
    fn install(&self) -> Result<()> {
        let repository = &self.args.repository;
        let definitions = repository.join("crds/yaml");
        let definitions = definitions.to_str().context("a path that can be written")?;
        self.kubectl(&["apply", "--server-side", "-f", definitions], "")?;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "")?;
        let roles = std::fs::read_to_string(repository.join("operator/tests/kube/roles.yaml"))?;
        self.kubectl(&["apply", "--server-side", "-f", "-"], &roles)?;
        self.kubectl(&["create", "namespace", "ops"], "")?;
        for role in ["polylog-operator", "polylog-secret-reader", "polylog-operator-own"] {
            let create = [
                "create",
                "clusterrolebinding",
                role,
                "--clusterrole",
                role,
                "--serviceaccount=ops:polylog-operator",
            ];
            self.kubectl(&create, "")?;
        }
        let flow = json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": { "name": FLOW },
            "spec": {
                "matchingPrecedence": 100,
                "priorityLevelConfiguration": { "name": "workload-high" },
                "rules": [{
                    "subjects": [{ "kind": "User", "user": { "name": ACCOUNT } }],
                    "resourceRules": [{
                        "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
                    }],
                    "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
                }],
            },
        });
        self.kubectl(&["apply", "-f", "-"], &flow.to_string())?;
        Ok(())
    }

    /// Everything that the operator is to look after.
    fn fill(&self) -> Result<()> {
        thread::scope(|scope| {
            let hands: Vec<_> = (0..HANDS).map(|hand| scope.spawn(move || self.fill_some(hand))).collect();
            hands.into_iter().try_for_each(|hand| hand.join().expect("it does not panic"))
        })
    }

    fn fill_some(&self, hand: usize) -> Result<()> {
        for number in (hand..self.args.namespaces).step_by(HANDS) {
            let namespace = format!("tenant-{number}");
            let mut items = vec![
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
                json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": namespace },
                    "stringData": { "url": self.postgres.socket_url(&self.database) },
                }),
            ];
            for store in 0..self.args.stores_each {
                items.push(self.store(&namespace, number, store));
                items.push(self.owner(&namespace, store));
            }
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
            self.kubectl(&["create", "-f", "-"], &list.to_string())?;
        }
        Ok(())
    }

    fn store(&self, namespace: &str, number: usize, store: usize) -> Value {
        json!({
            "apiVersion": "polylog.dev/v1alpha1", "kind": "EventStore",
            "metadata": { "name": format!("store-{store}"), "namespace": namespace },
            "spec": { "sources": [{
                "name": "ledger", "connection": { "secretRef": { "name": "db" } },
                "postgres": { "schema": format!("s{number}_{store}") },
            }] },
        })
    }

    /// A Deployment whose pods look as injection leaves them. No scheduler is concerned with them.
    fn owner(&self, namespace: &str, store: usize) -> Value {
        let (name, labels) =
            (format!("app-{store}"), json!({ "polylog.dev/eventstore": format!("store-{store}") }));
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "replicas": self.args.pods_each,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels, "annotations": { "polylog.dev/injected": "0.1.0/0000000000000000" } },
                    "spec": { "schedulerName": "nobody", "containers": [{ "name": "app", "image": "app" }] },
                },
            },
        })
    }

    /// Waits until every store is provisioned, has its gateway and has counted its pods.
    fn until_steady(&self, stores: usize, pods: usize) -> Result<()> {
        let begin = Instant::now();
        loop {
            let path = "{range .items[*]}{.status.pods.injected} \
                        {.status.conditions[?(@.type=='Provisioned')].status}{\"\\n\"}{end}";
            let path = format!("jsonpath={path}");
            let told = self.kubectl(&["get", "eventstores", "-A", "-o", &path], "")?;
            let provisioned = told.lines().filter(|line| line.ends_with(" True")).count();
            let counted: usize =
                told.lines().filter_map(|line| line.split(' ').next()?.parse::<usize>().ok()).sum();
            let managed = "app.kubernetes.io/managed-by=polylog-operator";
            let gateways = self.kubectl(&["get", "deployments", "-A", "-l", managed, "-o", "name"], "")?;
            let gateways = gateways.lines().count();
            if (provisioned, counted, gateways) == (stores, pods, stores) {
                return Ok(());
            }
            let seconds = begin.elapsed().as_secs();
            println!("{seconds} s: {provisioned} provisioned, {gateways} gateways, {counted} pods counted");
            ensure!(seconds < self.args.patience, "that is not the steady state");
            pause(Duration::from_secs(5));
        }
    }

    fn metrics(&self) -> Result<String> {
        self.kubectl(&["get", "--raw", "/metrics"], "")
    }

    /// The operator's calls so far; a watch is one.
    fn calls(&self) -> Result<u64> {
        let flow = format!("flow_schema=\"{FLOW}\"");
        let metrics = self.metrics()?;
        let lines = metrics.lines().filter(|line| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total{") && line.contains(&flow)
        });
        let calls = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
        ensure!(calls > 0.0, "the API server counts no calls of the operator");
        Ok(calls as u64)
    }

    /// How many calls of each kind there were, of everybody: says where to look when they are too many.
    fn kinds_of_calls(&self) -> Result<BTreeMap<String, u64>> {
        let metrics = self.metrics()?;
        let label = |line: &str, name: &str| -> Option<String> {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let mut kinds = BTreeMap::new();
        for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
            let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
            let parts = ["verb", "resource", "subresource"].map(|name| label(line, name).unwrap_or_default());
            *kinds.entry(parts.join(" ").trim_end().to_owned()).or_default() += count.unwrap_or(0.0) as u64;
        }
        Ok(kinds)
    }
}

/// What was added, the most first.
fn more(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<(u64, String)> {
    let added = |(kind, count): (&String, &u64)| {
        let added = count.saturating_sub(before.get(kind).copied().unwrap_or(0));
        (added > 0).then(|| (added, kind.clone()))
    };
    let mut kinds: Vec<_> = after.iter().filter_map(added).collect();
    kinds.sort_unstable_by(|one, other| other.cmp(one));
    kinds
}

struct Operator(Child);

impl Operator {
    fn start(bed: &Bed<'_>) -> Result<Self> {
        let folder = bed.cluster.folder();
        let (config, log) = (folder.join("operator.kubeconfig"), folder.join("operator.log"));
        let server = bed.kubectl(&["config", "view", "--raw", "-o", "json"], "")?;
        let mut content: Value = serde_json::from_str(&server)?;
        content["users"][0]["user"]["as"] = json!(ACCOUNT);
        std::fs::write(&config, content.to_string())?;
        let child = Command::new(&bed.args.binary)
            .env("KUBECONFIG", &config)
            .args(["--namespace=ops", "--pod=operator-1", "--sidecar-image=sidecar:1", "--health-port=0"])
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{} starts", bed.args.binary.display()))?;
        Ok(Self(child))
    }

    fn status(&self, field: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field of /proc")?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().context("a number")
    }

    /// Most that was ever resident, in kB of 1024 bytes as /proc has it, told in units of 1000.
    fn peak(&self) -> Result<u64> {
        Ok(self.status("VmHWM")? * 1024 / 1000)
    }

    fn memory(&self) -> Result<String> {
        let now = self.status("VmRSS")? * 1024 / 1000;
        Ok(format!("{} MB resident, at most {} MB", now / 1000, self.peak()? / 1000))
    }

    /// Seconds of a processor so far.
    fn processor(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after = stat.rsplit_once(')').context("a line of /proc")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        // user and system time, in hundredths of a second
        Ok((ticks(11) + ticks(12)) as f64 / 100.0)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
