use axum::response::Response;
use polylog_api::{Code, DataState, Problem, grpc, proto::polylog::admin::v1 as admin};
use polylog_log::{
    Config, ConfigVersion, Divergence, Event, Failover, Plan, Quarantined, RecordedEvent, SourceName, Version,
};
use polylog_replication::{DesiredConfig, OpenError};

use super::{
    answer,
    fields::{invalid, number},
    message::{Incoming, Received},
};
use crate::{
    operations::{Call, admin as administer, conflicts, errors, one_store, plans},
    policy::{Policy, PolicyDocument},
};

/// `GetStatus`
pub(super) async fn get_status(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<admin::GetStatusRequest>().await?.message;
    let call = allowed(&incoming, &request.store)?;
    let (shown, status) = one_store(&call.server, &call.caller.peer.subject, &call.hosted).await?;
    let (policy_version, policy) = call.hosted.store.read_policy().await.map_err(errors::of_read)?;
    let count = |count: usize| count as u64;
    Ok(answer::one(&admin::GetStatusResponse {
        store: Some(grpc::store(shown)),
        config: Some(config_message(&status.config)),
        config_version: u64::from(status.config.version.0),
        policy: policy.unwrap_or_default(),
        policy_version: policy_version.get(),
        waiting_commits: count(status.waiting_commits),
        waiting_bytes: count(status.waiting_bytes),
        batches: status.sent.batches,
        batch_events: status.sent.events,
        followers: count(status.followers),
        draining: status.is_draining,
    }))
}

/// `PutConfig`
pub(super) async fn put_config(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only_large::<admin::PutConfigRequest>(|_| Ok(())).await?.message;
    let call = allowed(&incoming, &request.store)?;
    let expected = u32::try_from(request.expected_version)
        .map_err(|_| invalid("expected_version", "there cannot be so many"))?;
    let config = request.config.ok_or_else(|| invalid("config", "it is missing"))?;
    let desired = desired(&call, config)?;
    let deadline = call.deadline.into_std();
    match call.hosted.store.put_config(&desired, ConfigVersion(expected), deadline).await {
        Ok(version) => Ok(answer::one(&admin::PutConfigResponse { version: u64::from(version.0) })),
        Err(error) => Err(of_config(&call, error).await),
    }
}

/// `PutPolicy`
pub(super) async fn put_policy(mut incoming: Incoming) -> Result<Response, Problem> {
    let Received { message: request, place } =
        incoming.only_large::<admin::PutPolicyRequest>(|_| Ok(())).await?;
    let call = allowed(&incoming, &request.store)?;
    let expected = Version::new(number("expected_version", request.expected_version)?);
    let document = PolicyDocument::parse(&request.policy).map_err(|error| invalid("policy", error))?;
    Policy::compile(&document).map_err(|error| invalid("policy", error))?;
    if document.namespace != call.hosted.namespace {
        let reason = format!("the store is in namespace {}", call.hosted.namespace);
        return Err(invalid("policy.namespace", reason));
    }
    let put = call.hosted.store.put_policy(request.policy, expected, call.deadline.into_std()).await;
    drop(place);
    match put {
        Ok(version) => Ok(answer::one(&admin::PutPolicyResponse { version: version.get() })),
        Err(error) => Err(conflicts::complete(&call, error, 0).await),
    }
}

/// `Verify`
pub(super) async fn verify(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<admin::VerifyRequest>().await?.message;
    let call = allowed(&incoming, &request.store)?;
    Ok(answer::one(&admin::VerifyResponse { request: administer::verify(&call)? }))
}

/// `Switch`
pub(super) async fn switch(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<admin::SwitchRequest>().await?.message;
    let call = allowed(&incoming, &request.store)?;
    let led = administer::switch(&call, source("primary", &request.primary)?).await?;
    Ok(answer::one(&admin::SwitchResponse { primary: led.primary.to_string(), term: led.term.get() }))
}

/// `Failover`
pub(super) async fn failover(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<admin::FailoverRequest>().await?.message;
    let store = Some(request.store.as_str()).filter(|store| !store.is_empty());
    let leadership = administer::leadership(&incoming.server, &incoming.peer.subject, store)?;
    let stopped = request.stopped.iter().map(|name| source("stopped", name)).collect::<Result<_, _>>()?;
    let led = administer::failover(&leadership, incoming.deadline()?, stopped).await?;
    Ok(answer::one(&admin::FailoverResponse { primary: led.primary.to_string(), term: led.term.get() }))
}

/// `ListQuarantine`
pub(super) async fn list_quarantine(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<admin::ListQuarantineRequest>().await?.message;
    let call = allowed(&incoming, &request.store)?;
    let only = only(&request.source)?;
    let after = Some(request.after).filter(|after| !after.is_empty());
    let after = after.map(|after| after.parse().map_err(|error| invalid("after", error)));
    let (default, most) = administer::QUARANTINE_PAGE;
    let limit = match request.limit as usize {
        0 => default,
        limit if limit <= most => limit,
        _ => return Err(invalid("limit", format!("it may be {most} at most"))),
    };
    let page = administer::quarantine(&call, only.as_ref(), after.transpose()?, limit).await?;
    Ok(answer::one(&admin::ListQuarantineResponse {
        entries: page.entries.iter().map(|(source, removed)| quarantined(source, removed)).collect(),
        next: page.next.map(|next| next.to_string()).unwrap_or_default(),
    }))
}

/// `Plan`
pub(super) async fn plan(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<admin::PlanRequest>().await?.message;
    let call = allowed(&incoming, &request.store)?;
    let plans = plans(&call, only(&request.source)?.as_ref()).await?;
    let steps: Vec<_> = plans.iter().flat_map(|(source, plan)| plan_steps(source, plan)).collect();
    let hash = Plan::hash_of_all(plans.iter().map(|(source, plan)| (source.as_str(), plan)));
    let hash = if steps.is_empty() { String::new() } else { hash };
    Ok(answer::one(&admin::PlanResponse { hash, steps }))
}

fn plan_steps(source: &SourceName, plan: &Plan) -> impl Iterator<Item = admin::PlanStep> {
    let hash = plan.hash();
    plan.steps.iter().map(move |step| admin::PlanStep {
        source: source.to_string(),
        class: step.class.to_string(),
        summary: step.summary.clone(),
        statement: step.statement.clone(),
        plan: hash.clone(),
    })
}

/// The source that is asked for, if it is one alone.
fn only(name: &str) -> Result<Option<SourceName>, Problem> {
    (!name.is_empty()).then(|| source("source", name)).transpose()
}

fn quarantined(source: &SourceName, Quarantined { cut, entry }: &Quarantined) -> admin::QuarantinedEntry {
    let event = |event: &Event| {
        let recorded = RecordedEvent { event: event.clone(), term: entry.term, chain: entry.chain };
        let state = match event.data {
            Some(_) => DataState::Present,
            None => DataState::Unavailable,
        };
        grpc::event(&recorded, state)
    };
    admin::QuarantinedEntry {
        source: source.to_string(),
        cut: cut.number,
        kept_to: cut.keep.position.get(),
        removed_to: cut.removed.position.get(),
        removed_under: cut.term.get(),
        term: entry.term.get(),
        commit_id: entry.commit_id().map(|id| id.to_string()).unwrap_or_default(),
        events: entry.events.iter().map(event).collect(),
    }
}

fn source(field: &str, name: &str) -> Result<SourceName, Problem> {
    SourceName::parse(name).map_err(|error| invalid(field, error))
}

/// The call, for an administrator.
fn allowed(incoming: &Incoming, store: &str) -> Result<Call, Problem> {
    let call = incoming.call(store)?;
    administer::require_admin(&call)?;
    Ok(call)
}

fn config_message(config: &Config) -> admin::Config {
    admin::Config {
        acks: config.acks.to_string(),
        min_in_sync: u32::from(config.min_in_sync),
        failover: format!("{:?}", config.failover),
        divergence: format!("{:?}", config.divergence),
        order: config.order.iter().map(|source| source.as_str().to_owned()).collect(),
        max_unreplicated_events: config.max_unreplicated_events,
    }
}

fn desired(call: &Call, config: admin::Config) -> Result<DesiredConfig, Problem> {
    let holds_log = |name: &str| {
        let mut sources = call.hosted.sources.iter();
        sources.any(|source| source.name.as_str() == name && source.unprovisioned.is_none())
    };
    if let Some(index) = config.order.iter().position(|name| !holds_log(name)) {
        return Err(invalid(&format!("config.order[{index}]"), "no source of this name holds the log"));
    }
    // who keeps which data is said by the manifest alone
    let current = call.hosted.store.config();
    Ok(DesiredConfig {
        routes: current.routes.clone(),
        default_route: current.default_route.clone(),
        acks: config.acks.parse().map_err(|error| invalid("config.acks", error))?,
        min_in_sync: u8::try_from(config.min_in_sync)
            .ok()
            .filter(|count| (1..=9).contains(count))
            .ok_or_else(|| invalid("config.min_in_sync", "it must be from 1 to 9"))?,
        failover: match config.failover.as_str() {
            "Never" => Failover::Never,
            "Manual" => Failover::Manual,
            "Automatic" => Failover::Automatic,
            _ => return Err(invalid("config.failover", "it must be Never, Manual or Automatic")),
        },
        divergence: match config.divergence.as_str() {
            "Quarantine" => Divergence::Quarantine,
            "ReplayIfClean" => Divergence::ReplayIfClean,
            _ => return Err(invalid("config.divergence", "it must be Quarantine or ReplayIfClean")),
        },
        order: config.order.iter().map(|name| SourceName::recorded(name)).collect(),
        max_unreplicated_events: config.max_unreplicated_events,
    })
}

async fn of_config(call: &Call, error: OpenError) -> Problem {
    let detail = error.to_string();
    match error {
        OpenError::Source(failure) => errors::of_source(&failure),
        OpenError::NotSupported { field, .. } => Problem::new(Code::NotSupported, detail)
            .next_step("ask for what one voter can do")
            .fact("path", format_args!("config.{field}")),
        OpenError::Configure { error, .. } => conflicts::complete(call, *error, 0).await,
        OpenError::NoPrimary | OpenError::Leaderless { .. } => {
            Problem::new(Code::NoPrimary, detail).next_step("try again")
        }
    }
}
