use std::fmt;

use crate::{Identity, SourceName, encoding};

/// How much a provisioning step can hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepClass {
    /// Adds something; nothing waits for it.
    Additive,
    /// Adds something, but may take long or hold up writers on a large log.
    Slow,
    /// Removes or rewrites something.
    Destructive,
}

impl fmt::Display for StepClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            StepClass::Additive => "Additive",
            StepClass::Slow => "Slow",
            StepClass::Destructive => "Destructive",
        })
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How much it can hurt.
    pub class: StepClass,
    /// What it does, in a few words.
    pub summary: String,
    /// The statement that does it, as an administrator could run it.
    pub statement: String,
}

/// What must be done so that a database is as its manifest says; empty = it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they must run.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The highest class among the steps.
    pub fn class(&self) -> Option<StepClass> {
        self.steps.iter().map(|step| step.class).max()
    }

    /// What an approval names: it is void as soon as any step changes. 16 hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut encoder = encoding::Encoder::new("polylog v1 plan");
        for step in &self.steps {
            encoder.text(&step.class.to_string());
            encoder.text(&step.statement);
        }
        shown(&encoder)
    }

    /// What an approval of the plans of several sources names; where one of them alone has steps, that one's hash.
    pub fn hash_of_all<'a>(plans: impl IntoIterator<Item = (&'a str, &'a Plan)>) -> String {
        let plans: Vec<_> = plans.into_iter().filter(|(_, plan)| !plan.is_empty()).collect();
        if let [(_, only)] = plans[..] {
            return only.hash();
        }
        let mut encoder = encoding::Encoder::new("polylog v1 plans");
        for (source, plan) in plans {
            encoder.text(source);
            encoder.text(&plan.hash());
        }
        shown(&encoder)
    }
}

fn shown(encoder: &encoding::Encoder) -> String {
    encoder.hash128()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "-- {}: {}\n{};\n", step.class, step.summary, step.statement)?;
        }
        Ok(())
    }
}

/// What a database should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The log. Database and incarnation count only for a database that has none yet.
    pub identity: Identity,
    /// The source's name in the manifests; for the implicit configuration of a database that has none yet.
    pub source: SourceName,
    /// Indexes that not every log needs.
    pub indexes: IndexOptions,
}

/// Indexes that a log has only when its manifest asks: each makes every append dearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexOptions {
    /// Events of a type, by position.
    pub event_type: bool,
    /// Events of an aggregate id, by position.
    pub aggregate_id: bool,
}

/// Which steps of a plan may be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Approval {
    automatic: Option<StepClass>,
    hash: Option<String>,
}

impl Approval {
    /// No step.
    pub fn none() -> Self {
        Self::default()
    }

    /// Steps up to a class; destructive ones never by their class alone.
    pub fn up_to(class: StepClass) -> Self {
        Self { automatic: Some(class), hash: None }
    }

    /// Also every step of the plan with this hash.
    #[must_use]
    pub fn and_plan(self, hash: impl Into<String>) -> Self {
        Self { hash: Some(hash.into()), ..self }
    }

    /// Whether it covers a step of the plan with this hash.
    pub fn allows(&self, step: &Step, plan: &str) -> bool {
        let by_class = step.class != StepClass::Destructive && Some(step.class) <= self.automatic;
        by_class || self.hash.as_deref() == Some(plan)
    }
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Steps that were carried out.
    pub done: Vec<Step>,
    /// Steps that wait for approval.
    pub waiting: Vec<Step>,
}
