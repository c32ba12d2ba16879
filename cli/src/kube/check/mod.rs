//! `kubectl polylog check`: what an installation needs, before it and after it; each line with its fix.

mod certificate;
mod cluster;
mod installation;
mod kinds;
mod line;
mod namespace;
mod stores;

use std::fmt::Write;

use clap::Args;
use serde_json::json;

use self::line::{Line, Outcome as Found};
use super::{
    kubectl::{Kubectl, KubectlError, Scope},
    output::{OutputArgs, print},
};
use crate::exit::{Failure, Outcome};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Before an installation: whether this cluster takes one, and you may make it in this namespace
    #[arg(long)]
    pre: bool,
    /// Namespace of the operator, where you may not look into all of them
    #[arg(long, value_name = "NAMESPACE")]
    operator_namespace: Option<String>,
    /// EventStores of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lines about one thing.
#[derive(Debug)]
struct Section {
    title: String,
    lines: Vec<Line>,
}

pub(super) fn run(kubectl: &Kubectl, args: &CheckArgs) -> Outcome {
    let mut sections = Vec::new();
    let versions = kubectl.versions();
    let unreachable = match &versions {
        Err(KubectlError::NotStarted(_)) => return versions.map(|_| ()).map_err(Failure::from),
        Err(KubectlError::Unreachable(_)) => true,
        _ => false,
    };
    sections.push(Section { title: "cluster".into(), lines: vec![cluster::version(&versions)] });
    if !unreachable {
        if args.pre { before(kubectl, &mut sections)? } else { after(kubectl, args, &mut sections)? }
    }
    let document = || {
        let section = |section: &Section| json!({ "about": section.title, "checks": section.lines });
        sections.iter().map(section).collect()
    };
    print(args.output.output, || text(&sections), document)?;
    let has_failed = sections.iter().flat_map(|section| &section.lines).any(Line::has_failed);
    match (unreachable, has_failed) {
        (true, _) => Err(Failure::Told(3)),
        (false, true) => Err(Failure::Told(1)),
        (false, false) => Ok(()),
    }
}

/// Before an installation.
fn before(kubectl: &Kubectl, sections: &mut Vec<Section>) -> Result<(), Failure> {
    let namespace = kubectl.namespace()?;
    sections[0]
        .lines
        .push(cluster::namespace(&namespace, kubectl.get("namespaces", &namespace, Scope::Given)));
    sections.push(Section {
        title: format!("your rights, to install into namespace {namespace}"),
        lines: cluster::rights(&namespace, |right| kubectl.may(right, None)),
    });
    sections.push(Section { title: "kinds".into(), lines: kinds::before(&kinds::ask(kubectl)) });
    let installations = installation::ask(kubectl, None);
    let lines = vec![installation::alone(&installations)];
    sections.push(Section { title: "other installations".into(), lines });
    Ok(())
}

/// After an installation.
fn after(kubectl: &Kubectl, args: &CheckArgs, sections: &mut Vec<Section>) -> Result<(), Failure> {
    sections.push(Section { title: "kinds".into(), lines: kinds::after(&kinds::ask(kubectl)) });
    let found = installation::ask(kubectl, args.operator_namespace.as_deref());
    let installations = match &found {
        Ok(installations) => installations.as_slice(),
        Err(_) => &[],
    };
    sections.push(Section { title: "operators".into(), lines: installation::all(&found) });
    for installation in installations {
        sections.push(Section {
            title: format!("operator {}/{}", installation.namespace, installation.name),
            lines: installation.check(kubectl),
        });
    }
    let scope = if args.all_namespaces { Scope::All } else { Scope::Given };
    stores::check(kubectl, scope, installations, sections);
    Ok(())
}

/// For people.
fn text(sections: &[Section]) -> String {
    let mut text = String::new();
    // writing to a string cannot fail
    for Section { title, lines } in sections {
        let _ = writeln!(text, "{title}");
        for line in lines {
            let _ = writeln!(text, "  {:8} {:22} {}", line.outcome.mark(), line.check, line.seen);
            if let Some(fix) = &line.fix {
                let _ = writeln!(text, "  {:8} {:22} fix: {fix}", "", "");
            }
        }
    }
    let of = |outcome: Found| {
        let lines = sections.iter().flat_map(|section| &section.lines);
        lines.filter(|line| line.outcome == outcome).count()
    };
    let counts = (of(Found::Failed), of(Found::Warning), of(Found::Unknown));
    let _ = match counts {
        (0, 0, 0) => writeln!(text, "all is well"),
        (failed, warnings, unknown) => {
            writeln!(text, "{failed} failed, {warnings} to look at, {unknown} could not be looked at")
        }
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_mark_and_its_fix() {
        let section = |lines| vec![Section { title: "cluster".into(), lines }];
        let text = text(&section(vec![
            Line::passed("version", "v1.34.1"),
            Line::failed("webhook", "nobody answers", "start it"),
            Line::unknown("Lease", "leases is forbidden"),
        ]));
        assert!(text.contains("  ok       version                v1.34.1\n"), "{text}");
        assert!(text.contains("  FAILED   webhook                nobody answers\n"), "{text}");
        assert!(text.contains("fix: start it\n"), "{text}");
        assert!(text.ends_with("1 failed, 0 to look at, 1 could not be looked at\n"), "{text}");
        assert!(super::text(&section(vec![Line::passed("a", "b")])).ends_with("all is well\n"));
    }
}
