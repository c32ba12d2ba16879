/// What a call's path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Append,
    ReadStream,
    ReadLog,
    GetEvent,
    GetStreamHead,
    LocateEvent,
    Subscribe,
    Search,
    Statistics,
    ListStores,
    GetStore,
    WatchStore,
    GetStatus,
    PutConfig,
    PutPolicy,
    Verify,
    Switch,
    Failover,
    ListQuarantine,
    Plan,
    CheckHealth,
    WatchHealth,
    Reflect,
    /// A method of a later version.
    Later(&'static str),
}

/// Methods of later versions.
const LATER: &[&str] = &[
    "/polylog.v1.Consumers/PutGroup",
    "/polylog.v1.Consumers/GetGroup",
    "/polylog.v1.Consumers/ListGroups",
    "/polylog.v1.Consumers/DeleteGroup",
    "/polylog.v1.Consumers/Consume",
    "/polylog.v1.Consumers/ListParked",
    "/polylog.v1.Consumers/ReplayParked",
    "/polylog.v1.Consumers/DiscardParked",
    "/polylog.v1.Queries/ListModels",
    "/polylog.v1.Queries/GetModelRow",
    "/polylog.v1.Queries/QueryModel",
];

impl Method {
    /// The method of a path; `None` = there is none.
    pub(super) fn find(path: &str) -> Option<Self> {
        Some(match path {
            "/polylog.v1.Events/Append" => Self::Append,
            "/polylog.v1.Events/ReadStream" => Self::ReadStream,
            "/polylog.v1.Events/ReadLog" => Self::ReadLog,
            "/polylog.v1.Events/GetEvent" => Self::GetEvent,
            "/polylog.v1.Events/GetStreamHead" => Self::GetStreamHead,
            "/polylog.v1.Events/LocateEvent" => Self::LocateEvent,
            "/polylog.v1.Events/Subscribe" => Self::Subscribe,
            "/polylog.v1.Queries/Search" => Self::Search,
            "/polylog.v1.Queries/Statistics" => Self::Statistics,
            "/polylog.v1.Stores/ListStores" => Self::ListStores,
            "/polylog.v1.Stores/GetStore" => Self::GetStore,
            "/polylog.v1.Stores/WatchStore" => Self::WatchStore,
            "/polylog.admin.v1.Admin/GetStatus" => Self::GetStatus,
            "/polylog.admin.v1.Admin/PutConfig" => Self::PutConfig,
            "/polylog.admin.v1.Admin/PutPolicy" => Self::PutPolicy,
            "/polylog.admin.v1.Admin/Verify" => Self::Verify,
            "/polylog.admin.v1.Admin/Switch" => Self::Switch,
            "/polylog.admin.v1.Admin/Failover" => Self::Failover,
            "/polylog.admin.v1.Admin/ListQuarantine" => Self::ListQuarantine,
            "/polylog.admin.v1.Admin/Plan" => Self::Plan,
            "/grpc.health.v1.Health/Check" => Self::CheckHealth,
            "/grpc.health.v1.Health/Watch" => Self::WatchHealth,
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => Self::Reflect,
            path => Self::Later(LATER.iter().find(|later| **later == path)?),
        })
    }

    /// Whether its first field names the store that it is for, and what it says is that store's alone.
    pub(super) fn is_of_store(self) -> bool {
        match self {
            Self::Append
            | Self::ReadStream
            | Self::ReadLog
            | Self::GetEvent
            | Self::GetStreamHead
            | Self::LocateEvent
            | Self::Subscribe
            | Self::Search
            | Self::Statistics
            | Self::GetStatus
            | Self::PutConfig
            | Self::PutPolicy
            | Self::Verify
            | Self::Switch
            | Self::Failover
            | Self::ListQuarantine
            | Self::Plan => true,
            // these say something of this process too
            Self::ListStores | Self::GetStore | Self::WatchStore => false,
            Self::CheckHealth | Self::WatchHealth | Self::Reflect | Self::Later(_) => false,
        }
    }

    /// What it is called in metrics and logs; the same as over HTTP where that has it.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::ReadStream => "read_stream",
            Self::ReadLog => "read_log",
            Self::GetEvent => "event",
            Self::GetStreamHead => "stream_head",
            Self::LocateEvent => "locations",
            Self::Subscribe => "subscribe",
            Self::Search => "search",
            Self::Statistics => "statistics",
            Self::ListStores => "stores",
            Self::GetStore => "store",
            Self::WatchStore => "watch_store",
            Self::GetStatus => "get_status",
            Self::PutConfig => "put_config",
            Self::PutPolicy => "put_policy",
            Self::Verify => "verify",
            Self::Switch => "switch",
            Self::Failover => "failover",
            Self::ListQuarantine => "quarantine",
            Self::Plan => "plan",
            Self::CheckHealth | Self::WatchHealth => "health",
            Self::Reflect => "reflection",
            Self::Later(_) => "later",
        }
    }
}

#[cfg(test)]
mod tests {
    use polylog_api::proto::DESCRIPTORS;
    use prost::Message;

    use super::*;

    #[test]
    fn every_method_of_every_proto_is_known_and_no_other() {
        let described = prost_types::FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
        let mut count = 0;
        for file in &described.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    assert!(Method::find(&path).is_some(), "{path}");
                    count += 1;
                }
            }
        }
        assert_eq!(count, 7 + 8 + 5 + 3 + 4 + 4 + 2 + 2);
        for path in ["", "/", "/polylog.v1.Events", "/polylog.v1.Events/append", "/polylog.v2.Events/Append"]
        {
            assert_eq!(Method::find(path), None, "{path}");
        }
    }
}
