//! Requests to the cluster, by kubectl.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::ClusterArgs;
use crate::exit::Failure;

/// Our kind, with its group, so that no other kind of that name is meant.
pub(super) const EVENT_STORES: &str = "eventstores.polylog.dev";

/// kubectl, with what says which cluster and as whom.
#[derive(Debug)]
pub(super) struct Kubectl {
    flags: Vec<String>,
    namespace: Option<String>,
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// In the namespace of the arguments or the context; or at what is in none.
    Given,
    /// In this one.
    In(&'a str),
    /// In all.
    All,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KubectlError {
    /// kubectl did not start. Put it on the PATH.
    #[error("cannot run kubectl: {0}")]
    NotStarted(String),
    /// The API server does not answer. Check the context, or try again.
    #[error("{0}")]
    Unreachable(String),
    /// The user lacks a right. Have it granted.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such object, or no such kind. Check the name; the chart installs the kinds.
    #[error("{0}")]
    NotFound(String),
    /// The object changed meanwhile. Look again.
    #[error("{0}")]
    Conflict(String),
    /// The API server, or kubectl itself, says no for another reason.
    #[error("{0}")]
    Other(String),
}

impl From<KubectlError> for Failure {
    fn from(error: KubectlError) -> Self {
        match error {
            KubectlError::Unreachable(words) => Self::NoAnswer(words),
            KubectlError::NotStarted(_) => Self::Usage(format!("{error}: kubectl has to be on the PATH")),
            other => Self::Failed(anyhow::Error::new(other)),
        }
    }
}

impl Kubectl {
    pub(super) fn new(args: &ClusterArgs) -> Self {
        let mut flags = Vec::new();
        let mut push = |name: &str, value: &Option<String>| {
            flags.extend(value.iter().map(|value| format!("--{name}={value}")));
        };
        push("context", &args.context);
        push("kubeconfig", &args.kubeconfig);
        push("cluster", &args.cluster);
        push("user", &args.user);
        push("as", &args.as_user);
        push("request-timeout", &Some(args.request_timeout.clone()));
        flags.extend(args.as_group.iter().map(|group| format!("--as-group={group}")));
        Self { flags, namespace: args.namespace.clone() }
    }

    /// What a person would add to a command to mean the same cluster.
    pub(super) fn shown_flags(&self) -> String {
        self.lasting_flags().map(|flag| format!(" {flag}")).collect()
    }

    /// The flags for what lasts longer than one request.
    pub(super) fn lasting_flags(&self) -> impl Iterator<Item = &str> {
        let flags = self.flags.iter().map(String::as_str);
        flags.filter(|flag| !flag.starts_with("--request-timeout"))
    }

    /// The namespace of the arguments, or of the context.
    pub(super) fn namespace(&self) -> Result<String, KubectlError> {
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.clone());
        }
        let path = "--output=jsonpath={.contexts[0].context.namespace}";
        let text = self.run(&["config", "view", "--minify", path], Scope::Given, None)?;
        Ok(if text.is_empty() { "default".to_owned() } else { text })
    }

    /// The object of this kind and name.
    pub(super) fn get(&self, kind: &str, name: &str, scope: Scope<'_>) -> Result<Value, KubectlError> {
        self.json(&["get", kind, name, "--output=json"], scope, None)
    }

    /// The objects of this kind; with arguments, those that they name or select.
    pub(super) fn list(
        &self,
        kind: &str,
        arguments: &[&str],
        scope: Scope<'_>,
    ) -> Result<Vec<Value>, KubectlError> {
        let all = [&["get", kind, "--output=json", "--ignore-not-found"], arguments].concat();
        let text = self.run(&all, scope, None)?;
        // nothing at all where none of the named ones is there
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut value = parsed(&text)?;
        // the object itself where one is named
        Ok(match value["items"].take() {
            Value::Array(items) => items,
            _ => vec![value],
        })
    }

    /// Changes an object, by a merge patch.
    pub(super) fn patch(
        &self,
        kind: &str,
        name: &str,
        patch: &Value,
        scope: Scope<'_>,
    ) -> Result<Value, KubectlError> {
        let patch = format!("--patch={patch}");
        let merge = ["--type=merge", "--field-manager=kubectl-polylog", "--output=json"];
        self.json(&[&["patch", kind, name, patch.as_str()][..], &merge].concat(), scope, None)
    }

    /// The versions of kubectl and of the API server.
    pub(super) fn versions(&self) -> Result<Value, KubectlError> {
        self.json(&["version", "--output=json"], Scope::Given, None)
    }

    /// Whether somebody may do something: the user of these commands, or another one, which takes a right of its own.
    pub(super) fn may(&self, right: &Right<'_>, user: Option<&str>) -> Result<bool, KubectlError> {
        let attributes = json!({
            "verb": right.verb, "group": right.group, "resource": right.resource,
            "namespace": right.namespace, "name": right.name,
        });
        let (kind, resource) = match user {
            None => ("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
            Some(_) => ("SubjectAccessReview", "subjectaccessreviews"),
        };
        let mut review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": { "resourceAttributes": attributes },
        });
        if let Some(user) = user {
            review["spec"]["user"] = user.into();
        }
        let path = format!("--raw=/apis/authorization.k8s.io/v1/{resource}");
        let answer =
            self.json(&["create", &path, "--filename=-"], Scope::Given, Some(&review.to_string()))?;
        Ok(answer["status"]["allowed"] == true)
    }

    fn json(&self, arguments: &[&str], scope: Scope<'_>, input: Option<&str>) -> Result<Value, KubectlError> {
        parsed(&self.run(arguments, scope, input)?)
    }

    fn run(&self, arguments: &[&str], scope: Scope<'_>, input: Option<&str>) -> Result<String, KubectlError> {
        let mut command = Command::new("kubectl");
        command.args(arguments).args(&self.flags);
        match (scope, &self.namespace) {
            (Scope::All, _) => command.arg("--all-namespaces"),
            (Scope::In(namespace), _) => command.arg(format!("--namespace={namespace}")),
            (Scope::Given, Some(namespace)) => command.arg(format!("--namespace={namespace}")),
            (Scope::Given, None) => &mut command,
        };
        let not_started = |error: std::io::Error| KubectlError::NotStarted(error.to_string());
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::inherit() };
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            // where kubectl ends before it has read, its own words say why
            let _ = pipe.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(not_started)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failure(&String::from_utf8_lossy(&output.stderr)))
    }
}

/// Something that one may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Right<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    /// Empty: in all of them, or in none.
    pub(super) namespace: &'a str,
    /// Empty: whatever its name.
    pub(super) name: &'a str,
}

fn parsed(text: &str) -> Result<Value, KubectlError> {
    serde_json::from_str(text).map_err(|error| KubectlError::Other(format!("kubectl wrote no JSON: {error}")))
}

/// What kubectl's words mean. `Error from server (REASON): …` is its form for everything that an API server refuses.
pub(super) fn failure(words: &str) -> KubectlError {
    let is_news = |line: &&str| !line.starts_with("Warning:") && !line.trim().is_empty();
    let lines: Vec<&str> = words.lines().filter(is_news).collect();
    // earlier lines tell of tries that failed alike
    let at = lines.iter().position(|line| line.starts_with("Error from server")).unwrap_or_default();
    let told = lines.get(at..).unwrap_or_default().join("\n");
    if let Some((reason, message)) =
        told.strip_prefix("Error from server (").and_then(|rest| rest.split_once("): "))
    {
        let message = message.to_owned();
        return match reason {
            "Forbidden" | "Unauthorized" => KubectlError::Forbidden(message),
            "NotFound" => KubectlError::NotFound(message),
            "Conflict" => KubectlError::Conflict(message),
            "Timeout" | "ServerTimeout" | "ServiceUnavailable" | "TooManyRequests" => {
                KubectlError::Unreachable(message)
            }
            _ => KubectlError::Other(message),
        };
    }
    let last = lines.last().copied().unwrap_or("kubectl failed without a word").to_owned();
    let is_unreachable = ["Unable to connect to the server", "The connection to the server", "dial tcp"];
    if is_unreachable.iter().any(|words| last.contains(words)) {
        return KubectlError::Unreachable(last);
    }
    if last.contains("the server doesn't have a resource type") || last.contains("no matches for kind") {
        let next = "is Polylog installed? `kubectl polylog check` looks";
        return KubectlError::NotFound(format!("{last}: {next}"));
    }
    if last.contains("You must be logged in to the server") {
        return KubectlError::Forbidden(last);
    }
    KubectlError::Other(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_kubectl_are_told_apart() {
        let forbidden =
            "Error from server (Forbidden): eventstores.polylog.dev is forbidden: User \"ada\" cannot list";
        assert!(
            matches!(failure(forbidden), KubectlError::Forbidden(words) if words.starts_with("eventstores"))
        );
        let warned = format!("Warning: old\n{forbidden}\n");
        assert!(matches!(failure(&warned), KubectlError::Forbidden(_)));
        let missing = "Error from server (NotFound): eventstores.polylog.dev \"x\" not found";
        assert!(matches!(failure(missing), KubectlError::NotFound(_)));
        let conflict = "Error from server (Conflict): Operation cannot be fulfilled";
        assert!(matches!(failure(conflict), KubectlError::Conflict(_)));
        let unknown = "error: the server doesn't have a resource type \"eventstores\"";
        assert!(matches!(failure(unknown), KubectlError::NotFound(words) if words.contains("check")));
        let tries = "E1122 19:00:00.0 1 memcache.go:265] \"Unhandled Error\" err=\"couldn't get\"\n\
                     The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?";
        assert!(matches!(failure(tries), KubectlError::Unreachable(words) if words.starts_with("The conn")));
        let policy = "Error from server (Invalid): eventstores.polylog.dev \"x\" is invalid: spec: no";
        assert!(matches!(failure(policy), KubectlError::Other(words) if words.starts_with("eventstores")));
        assert!(matches!(failure(""), KubectlError::Other(_)));
    }

    #[test]
    fn options_are_handed_on_and_shown_again_where_they_matter() {
        let args = ClusterArgs {
            context: Some("prod".into()),
            as_user: Some("ada".into()),
            as_group: vec!["dba".into()],
            request_timeout: "5s".into(),
            ..ClusterArgs::default()
        };
        let kubectl = Kubectl::new(&args);
        assert_eq!(kubectl.flags, ["--context=prod", "--as=ada", "--request-timeout=5s", "--as-group=dba"]);
        assert_eq!(kubectl.shown_flags(), " --context=prod --as=ada --as-group=dba");
    }
}
