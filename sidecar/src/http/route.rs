use http::Method;
use polylog_api::{Code, Problem};

use super::path;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `/openapi.json`
    OpenApi,
    /// `/v1/stores`
    Stores,
    /// `/v1/stores/{store}`
    Store(String),
    /// Something of a store; the name is absent on the short path.
    Of(Option<String>, StoreResource),
}

/// What a path names within a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreResource {
    /// `streams/{stream}`
    Stream(String),
    /// `streams/{stream}/head`
    StreamHead(String),
    /// `commits`
    Commits,
    /// `events`
    Log,
    /// `events/{id}`
    Event(String),
    /// `events/{id}/locations`
    Locations(String),
    /// `subscribe`
    Subscribe,
    /// `search`
    Search,
    /// `statistics`
    Statistics,
    /// `trends`
    Trends,
    /// `admin/verify`
    Verify,
    /// `admin/switch`
    Switch,
    /// `admin/failover`
    Failover,
    /// `admin/quarantine`
    Quarantine,
    /// An operation of a later version, by its path's pattern.
    Later(&'static str),
}

/// Operations of later versions: methods and path patterns below a store.
pub(crate) const LATER: &[(&[&str], &[&str])] = &[
    (&["GET"], &["groups"]),
    (&["GET", "PUT", "DELETE"], &["groups", "{group}"]),
    (&["POST"], &["groups", "{group}", "pull"]),
    (&["POST"], &["groups", "{group}", "ack"]),
    (&["POST"], &["groups", "{group}", "nack"]),
    (&["GET"], &["groups", "{group}", "parked"]),
    (&["POST"], &["groups", "{group}", "parked", "replay"]),
    (&["POST"], &["groups", "{group}", "parked", "discard"]),
    (&["GET"], &["models"]),
    (&["GET"], &["models", "{model}"]),
    (&["GET"], &["models", "{model}", "{key}"]),
    // configuration is put over gRPC
    (&["GET"], &["admin", "status"]),
    (&["PUT"], &["admin", "config"]),
    (&["PUT"], &["admin", "policy"]),
    (&["GET"], &["admin", "plan"]),
];

/// Finds what a request names; the problem is `not_found`, `invalid_request` or `method_not_allowed`.
pub(crate) fn find(method: &Method, raw_path: &str) -> Result<Resource, NoRoute> {
    let parts = path::parts(raw_path)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (resource, methods) = match parts[..] {
        ["openapi.json"] => (Resource::OpenApi, &["GET"][..]),
        ["v1", "stores"] => (Resource::Stores, &["GET"][..]),
        ["v1", "stores", store] => (Resource::Store(store.into()), &["GET"][..]),
        ["v1", "stores", store, ref rest @ ..] => within(Some(store.into()), rest, raw_path)?,
        ["v1", ref rest @ ..] => within(None, rest, raw_path)?,
        _ => return Err(not_found(raw_path)),
    };
    let asked = if *method == Method::HEAD { "GET" } else { method.as_str() };
    if methods.contains(&asked) {
        return Ok(resource);
    }
    let detail = format_args!("{method} {}", shown(raw_path));
    let problem =
        Problem::new(Code::MethodNotAllowed, detail).next_step(format!("use {}", methods.join(" or ")));
    let allow = methods.join(", ").replacen("GET", "GET, HEAD", 1);
    Err(NoRoute { problem: Box::new(problem), allow: Some(allow) })
}

fn within(
    store: Option<String>,
    parts: &[&str],
    raw_path: &str,
) -> Result<(Resource, &'static [&'static str]), NoRoute> {
    let (resource, methods): (_, &[&str]) = match *parts {
        ["streams", stream] => (StoreResource::Stream(stream.into()), &["GET", "POST"]),
        ["streams", stream, "head"] => (StoreResource::StreamHead(stream.into()), &["GET"]),
        ["commits"] => (StoreResource::Commits, &["POST"]),
        ["events"] => (StoreResource::Log, &["GET"]),
        ["events", id] => (StoreResource::Event(id.into()), &["GET"]),
        ["events", id, "locations"] => (StoreResource::Locations(id.into()), &["GET"]),
        ["subscribe"] => (StoreResource::Subscribe, &["GET"]),
        ["search"] => (StoreResource::Search, &["GET"]),
        ["statistics"] => (StoreResource::Statistics, &["GET"]),
        ["trends"] => (StoreResource::Trends, &["GET"]),
        ["admin", "verify"] => (StoreResource::Verify, &["POST"]),
        ["admin", "switch"] => (StoreResource::Switch, &["POST"]),
        ["admin", "failover"] => (StoreResource::Failover, &["POST"]),
        ["admin", "quarantine"] => (StoreResource::Quarantine, &["GET"]),
        _ => {
            let is_named = |pattern: &[&str]| {
                pattern.len() == parts.len()
                    && pattern.iter().zip(parts).all(|(name, part)| name.starts_with('{') || name == part)
            };
            let (methods, pattern) =
                LATER.iter().find(|(_, pattern)| is_named(pattern)).ok_or_else(|| not_found(raw_path))?;
            (StoreResource::Later(pattern[0]), methods)
        }
    };
    Ok((Resource::Of(store, resource), methods))
}

/// A request that leads nowhere.
#[derive(Debug)]
pub(crate) struct NoRoute {
    /// What to answer.
    pub(crate) problem: Box<Problem>,
    /// The methods that the path knows, for `Allow`.
    pub(crate) allow: Option<String>,
}

impl From<Problem> for NoRoute {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), allow: None }
    }
}

fn not_found(raw_path: &str) -> NoRoute {
    Problem::new(Code::NotFound, format_args!("there is nothing at {}", shown(raw_path)))
        .next_step("see /openapi.json for what there is")
        .into()
}

fn shown(raw_path: &str) -> String {
    raw_path.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_and_without_a_store() {
        let get = |path| find(&Method::GET, path).expect(path);
        let of = |store: Option<&str>, resource| Resource::Of(store.map(Into::into), resource);
        assert_eq!(get("/v1/streams/a%2Fb"), of(None, StoreResource::Stream("a/b".into())));
        assert_eq!(get("/v1/stores/s/streams/x/head"), of(Some("s"), StoreResource::StreamHead("x".into())));
        assert_eq!(get("/v1/stores/s"), Resource::Store("s".into()));
        assert_eq!(get("/v1/events/7/locations"), of(None, StoreResource::Locations("7".into())));
        assert_eq!(get("/v1/models/m/k"), of(None, StoreResource::Later("models")));
        assert_eq!(get("/v1/stores/s/admin/quarantine"), of(Some("s"), StoreResource::Quarantine));
        assert_eq!(get("/v1/admin/status"), of(None, StoreResource::Later("admin")));
        assert_eq!(get("/openapi.json"), Resource::OpenApi);
    }

    #[test]
    fn what_leads_nowhere_says_so() {
        for path in ["/", "/v2/streams/x", "/v1", "/v1/", "/v1/streams", "/v1/stores/s/x", "/v1/streams/x/y"]
        {
            assert_eq!(find(&Method::GET, path).expect_err(path).problem.code, Code::NotFound);
        }
        let refused = find(&Method::DELETE, "/v1/streams/x").expect_err("no such method");
        assert_eq!(refused.problem.code, Code::MethodNotAllowed);
        assert_eq!(refused.allow.as_deref(), Some("GET, HEAD, POST"));
        assert!(find(&Method::GET, "/v1/commits").is_err());
    }
}
