//! `polylog inject`: what the webhook does to a pod, done to manifests.

mod documents;
mod known;

use std::{fs, io::Read, path::PathBuf};

use clap::Args;
use polylog_crds::{event_store::EventStoreSpec, values::NamespaceName};
use polylog_injection::{Existing, Injection, Settings, Warning, inject, pod_template};
use serde_json::Value;

use self::{documents::Document, known::Known};
use crate::{
    args::Place,
    exit::{Failure, Outcome},
    output::{Format, Output},
};

#[derive(Debug, Args)]
pub(crate) struct InjectArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
    /// Namespace of what names none
    #[arg(short, long, default_value = "default")]
    namespace: NamespaceName,
}

/// What is to get a sidecar, and which.
#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// Manifests whose pods get a sidecar where they have the label polylog.dev/eventstore; - is standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<Place>,
    /// Folders or files with the EventStores, where they are not among the manifests
    #[arg(long, value_name = "PATH")]
    stores: Vec<PathBuf>,
    /// Image of the sidecar
    #[arg(long, default_value = Settings::IMAGE)]
    image: String,
    /// When the image is pulled, as in a container's imagePullPolicy
    #[arg(long, value_name = "POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    image_pull_policy: Option<String>,
}

/// Writes the manifests with their sidecars to standard output. Documents without a pod that asks for one come out as they
/// were written.
pub(crate) fn run(args: InjectArgs, format: Format) -> Outcome {
    if !matches!(format, Format::Table) {
        return Err(Failure::Usage("inject writes manifests, as YAML: it has no --output".to_owned()));
    }
    write(args.manifests, args.namespace, None)
}

/// EventStores that are not among the manifests, by their namespace.
pub(crate) type FurtherStores<'a> =
    dyn Fn(&NamespaceName) -> Result<Vec<(String, EventStoreSpec)>, Failure> + 'a;

/// The same, with the stores of a cluster where there is one; what names no namespace is in this one.
pub(crate) fn write(
    args: ManifestArgs,
    namespace: NamespaceName,
    further: Option<&FurtherStores<'_>>,
) -> Outcome {
    let mut documents = Vec::new();
    for place in &args.files {
        let (name, text) = read(place)?;
        documents.extend(documents::read(&name, &text)?);
    }
    let mut known = Known::new(namespace);
    if let Some(further) = further {
        known.add_further(&mut documents, further)?;
    }
    known.add_documents(&documents)?;
    for path in &args.stores {
        known.add_path(path)?;
    }
    let settings = Settings { image: args.image, pull_policy: args.image_pull_policy };
    let mut told = Vec::new();
    let mut texts = Vec::with_capacity(documents.len());
    for document in documents {
        texts.push(injected(document, &known, &settings, &mut told)?);
    }
    if told.is_empty() {
        told.push("no pod has the label polylog.dev/eventstore: nothing is changed".to_owned());
    }
    let mut out = Output::new();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.text("---\n")?;
        }
        out.text(text)?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.text("\n")?;
        }
    }
    out.flush()?;
    for line in told {
        eprintln!("{line}");
    }
    Ok(())
}

fn read(place: &Place) -> Result<(String, String), Failure> {
    let (name, text) = match place {
        Place::Standard => {
            let mut text = String::new();
            ("standard input".to_owned(), std::io::stdin().read_to_string(&mut text).map(|_| text))
        }
        Place::File(path) => (path.display().to_string(), fs::read_to_string(path)),
    };
    match text {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(Failure::Usage(format!("cannot read {name}: {error}"))),
    }
}

/// The document with its sidecars; its own text where it has none.
fn injected(
    document: Document,
    known: &Known,
    settings: &Settings,
    told: &mut Vec<String>,
) -> Result<String, Failure> {
    let mut value = document.value;
    let mut has_changed = false;
    for object in objects(&mut value) {
        let shown = shown(object);
        let namespace =
            known.namespace_of(object).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
        let Some(template) = pod_template(object) else { continue };
        let refused = |reason: String| {
            Failure::Usage(format!("{}:{}: {shown}: {reason}", document.file, document.line))
        };
        let injection = inject(template, &namespace, known.stores(), settings, Existing::Replace);
        match injection.map_err(|error| refused(error.to_string()))? {
            Injection::NotAsked => {}
            Injection::Done { warnings, .. } if !warnings.is_empty() => {
                return Err(refused(match &warnings[0] {
                    Warning::UnknownStore(store) => {
                        let next = "give its manifest too, with --filename or --stores";
                        format!("EventStore {store} is in none of the files; {next}")
                    }
                    Warning::NoGateway(store) => {
                        let next = "give it as it is in the cluster (kubectl get -o yaml), with --stores";
                        format!("where the gateway of EventStore {store} is, is in none of the files; {next}")
                    }
                }));
            }
            Injection::Done { pod, .. } => {
                *template = pod;
                has_changed = true;
                told.push(format!("{shown}: has a sidecar"));
            }
        }
    }
    if !has_changed {
        return Ok(document.text);
    }
    serde_saphyr::to_string(&value)
        .map_err(|error| Failure::Failed(anyhow::anyhow!("{shown}: {error}", shown = document.file)))
}

/// The objects of a document: those of a List, or the one that it is.
fn objects(document: &mut Value) -> Vec<&mut Value> {
    if document["kind"] == "List" {
        return match document.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().collect(),
            None => Vec::new(),
        };
    }
    if document.is_object() { vec![document] } else { Vec::new() }
}

fn shown(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let metadata = &object["metadata"];
    let name = metadata.get("name").or_else(|| metadata.get("generateName")).unwrap_or(&Value::Null);
    format!("{} {}", text(&object["kind"]), text(name))
}
