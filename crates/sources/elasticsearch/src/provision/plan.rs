use polylog_log::{Config, Failure, Head, Member, Plan, RefusedReason, Step, StepClass};
use serde_json::{Value, json};

use super::{Actual, Desired, Kind, Place, StoredIndex};
use crate::{
    document::HeadDocument,
    head,
    schema::{self, KINDS, MARK},
};

/// The steps from what is there to what should be there, printable as requests.
///
/// # Errors
/// `WrongStore`: the indices hold another log under this key, or are somebody else's. `Damaged`: an index is gone that
/// held a log. `Refused`: what the manifest asks for cannot be made of the index that is there.
pub fn plan(desired: &Desired, place: &Place, actual: &Actual) -> Result<Plan, Failure> {
    if let Some(flavor) = place.flavor.filter(|flavor| *flavor != actual.flavor) {
        let message = format!(
            "the server is {:?}, and elasticsearch.flavor says {flavor:?}: correct it, or the address",
            actual.flavor
        );
        return Err(Failure::Refused { reason: RefusedReason::Unsuitable, message });
    }
    check_log(desired, place, actual)?;
    let mut steps = Vec::new();
    for kind in KINDS {
        match actual.indices.get(&kind) {
            None => steps.push(created(kind, place, actual)),
            Some(stored) => steps.extend(changed(kind, place, actual, stored)?),
        }
    }
    if actual.identity.is_none() {
        steps.push(first_head(desired, place));
    }
    Ok(Plan { steps })
}

/// Indices of others are left alone.
pub(crate) fn check_ours(place: &Place, actual: &Actual) -> Result<(), Failure> {
    let foreign = actual.indices.iter().find(|(_, stored)| stored.mapping["_meta"].get(MARK).is_none());
    match foreign {
        Some((kind, _)) => {
            let name = kind.name(&place.indices);
            Err(Failure::WrongStore(format!("index {name} belongs to another application")))
        }
        None => Ok(()),
    }
}

/// Events without a head.
pub(crate) fn unknown(events: u64) -> Failure {
    Failure::Damaged(format!(
        "{events} events and no head: nothing says of which log; restore it from a snapshot"
    ))
}

fn check_log(desired: &Desired, place: &Place, actual: &Actual) -> Result<(), Failure> {
    check_ours(place, actual)?;
    let Some(found) = actual.identity else {
        return if actual.events == 0 { Ok(()) } else { Err(unknown(actual.events)) };
    };
    if found.log != desired.identity.log {
        let key = place.indices.key();
        let (found, log) = (found.log, desired.identity.log);
        return Err(Failure::WrongStore(format!("the indices hold log {found} as {key}, not {log}")));
    }
    match KINDS.into_iter().find(|kind| !actual.indices.contains_key(kind)) {
        Some(kind) => {
            let name = kind.name(&place.indices);
            Err(Failure::Damaged(format!("index {name} is gone: restore it from a snapshot")))
        }
        None => Ok(()),
    }
}

fn created(kind: Kind, place: &Place, actual: &Actual) -> Step {
    let alias = kind.name(&place.indices);
    let name = format!("{alias}-000001");
    // so that another index can take its place, and a write never makes one by itself
    let body = json!({
        "settings": kind.settings(&place.layout),
        "mappings": kind.mapping(&place.layout, actual.flavor),
        "aliases": { alias: {} },
    });
    additive(format!("create index {name}"), request("PUT", &format!("/{name}"), &body))
}

/// What can be changed in place; the rest is refused, never ignored.
fn changed(kind: Kind, place: &Place, actual: &Actual, stored: &StoredIndex) -> Result<Vec<Step>, Failure> {
    let mut changes = json!({});
    let settings = kind.settings(&place.layout);
    for (setting, wanted) in settings.as_object().into_iter().flatten() {
        let found = stored.settings.get(setting).or_else(|| default(setting));
        if found == Some(wanted) {
            continue;
        }
        if setting == "index.number_of_shards" {
            return Err(fixed(stored, setting, found, wanted));
        }
        changes[setting] = wanted.clone();
    }
    let mapping = kind.mapping(&place.layout, actual.flavor);
    let mut added = json!({});
    for (field, wanted) in mapping["properties"].as_object().into_iter().flatten() {
        match stored.mapping["properties"].get(field) {
            None => added[field] = wanted.clone(),
            Some(found) if found["type"] == wanted["type"] => {}
            found => return Err(fixed(stored, field, found, wanted)),
        }
    }
    let mut steps = Vec::new();
    let name = &stored.name;
    if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
        let request = request("PUT", &format!("/{name}/_settings"), &changes);
        steps.push(additive(format!("change settings of {name}"), request));
    }
    if added.as_object().is_some_and(|added| !added.is_empty()) {
        let request = request("PUT", &format!("/{name}/_mapping"), &json!({ "properties": added }));
        steps.push(additive(format!("add fields to {name}"), request));
    }
    Ok(steps)
}

/// What an index has that does not say so.
fn default(setting: &str) -> Option<&'static Value> {
    static DURABILITY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| json!("request"));
    (setting == "index.translog.durability").then(|| &*DURABILITY)
}

fn fixed(stored: &StoredIndex, what: &str, found: Option<&Value>, wanted: &Value) -> Failure {
    let found = found.map_or("nothing".into(), Value::to_string);
    let message = format!(
        "{what} of index {} is {found} and cannot become {wanted} in place, and this version does not rebuild an index: \
         keep what is there, or add a new source and remove this one",
        stored.name
    );
    Failure::Refused { reason: RefusedReason::Unsuitable, message }
}

/// The identity and the first head.
fn first_head(desired: &Desired, place: &Place) -> Step {
    let identity = desired.identity;
    let voter = Member {
        name: desired.source.clone(),
        database: identity.database,
        incarnation: identity.incarnation,
    };
    let head = Head::empty(identity, Config::implicit(voter));
    let body = head::stored(&HeadDocument::first(head));
    let id = schema::head_id(&place.indices).replace('/', "%2F");
    let path = format!("/{}/_create/{id}", place.indices.head());
    additive(format!("begin log {} as {}", identity.log, place.indices.key()), request("PUT", &path, &body))
}

fn request(method: &str, path: &str, body: &Value) -> String {
    format!("{method} {path}\n{body}")
}

fn additive(summary: String, statement: String) -> Step {
    Step { class: StepClass::Additive, summary, statement }
}

#[cfg(test)]
mod tests;
