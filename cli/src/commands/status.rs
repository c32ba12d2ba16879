use polylog_api::StoreStatus;
use polylog_client::Client;

use crate::{
    exit::Outcome,
    output::{Format, Output, rendered, table},
};

/// Prints the named store, or all.
pub(crate) async fn run(client: &Client, format: Format) -> Outcome {
    let stores = match client.address().store() {
        Some(store) => vec![client.status(store).await?],
        None => client.stores().await?.stores,
    };
    let mut out = Output::new();
    match format {
        Format::Table => {
            let text: Vec<String> = stores.iter().map(text).collect();
            out.text(&text.join("\n"))?;
        }
        Format::Json => out.document(&stores, format)?,
        Format::Ndjson => stores.iter().try_for_each(|store| out.document(store, format))?,
    }
    Ok(out.flush()?)
}

fn text(store: &StoreStatus) -> String {
    let none = || "-".to_owned();
    let positions: Vec<String> = store.positions.iter().map(ToString::to_string).collect();
    let mut facts = table(&[]);
    facts.add_row(vec!["store", &store.name]);
    facts.add_row(vec!["id".to_owned(), store.store_id.map_or_else(none, |id| id.to_string())]);
    facts.add_row(vec!["primary".to_owned(), store.primary.as_ref().map_or_else(none, ToString::to_string)]);
    facts.add_row(vec!["term".to_owned(), store.term.to_string()]);
    facts.add_row(vec!["position".to_owned(), positions.join(" ")]);
    facts.add_row(vec!["you may".to_owned(), store.verbs.join(" ")]);
    facts.add_row(vec!["sidecar", &store.sidecar_version]);
    let mut sources = table(&["SOURCE", "ENGINE", "ROLE", "STATE", "POSITION", "LAG", "MESSAGE"]);
    for source in &store.sources {
        sources.add_row(vec![
            source.name.to_string(),
            source.engine.clone(),
            source.role.clone(),
            source.state.clone(),
            source.position.map_or_else(none, |position| position.to_string()),
            source.lag_events.map_or_else(none, |lag| lag.to_string()),
            source.message.clone(),
        ]);
    }
    format!("{}\n{}", rendered(&facts), rendered(&sources))
}
