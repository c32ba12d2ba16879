use std::fmt;

use crate::encoding;

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
        encoder.hash128()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "-- {}: {}\n{};\n", step.class, step.summary, step.statement)?;
        }
        Ok(())
    }
}
