/// How the sources follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Strategy {
    /// The primary alone answers, and nobody replaces it.
    One,
    /// A majority answers, and elects.
    Majority,
    /// All that are in sync answer.
    All,
    /// A majority answers, and one source keeps an event's data.
    Partitioned,
}

impl Strategy {
    /// For each source, as a condition in SQL, the events whose data it alone keeps.
    pub fn kept(self) -> Option<[&'static str; 3]> {
        const MIRROR: &str = "stream = 'History-0'";
        const SPARE: &str = "stream LIKE 'Payment-%'";
        const LEDGER: &str = "stream <> 'History-0' AND stream LIKE 'History-%'";
        (self == Strategy::Partitioned).then_some([LEDGER, MIRROR, SPARE])
    }

    /// The manifests of a store with three sources: `ledger` in PostgreSQL, `mirror` in MariaDB, `spare` anywhere.
    pub fn manifests(self, mariadb: &str) -> String {
        let spec = match self {
            Strategy::One => "{type: Priority, acks: '1', failover: {mode: Manual}}",
            Strategy::Majority => "{type: Priority, acks: Majority, failover: {mode: Automatic, after: 1s}}",
            Strategy::All => "{type: FullReplication, minInSync: 2, failover: {mode: Automatic, after: 1s}}",
            Strategy::Partitioned => {
                "{type: EventTypePartitioning, acks: Majority, failover: {mode: Automatic, after: 1s}, defaultRoute: ledger, \
                 routes: [{when: 'stream == \"History-0\"', source: mirror}, {when: 'category == \"Payment\"', source: spare}]}"
            }
        };
        format!(
            "\
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {{name: payments}}
spec:
  strategyRef: {{name: under-faults}}
  sources:
    - {{name: ledger, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: payments}}}}
    - {{name: mirror, connection: {{secretRef: {{name: db}}}}, mysql: {{database: {mariadb}}}}}
    - {{name: spare, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: payments}}}}
---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {{name: under-faults}}
spec: {spec}
---
apiVersion: v1
kind: Secret
metadata: {{name: db}}
stringData: {{url: 'postgres://localhost/x'}}
"
        )
    }
}
