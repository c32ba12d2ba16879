use crate::exit::Failure;

/// Most that are told.
const MOST: usize = 20;

/// What is wrong with the events; the first ones are told, the others counted.
pub(crate) struct Faults {
    told: Vec<String>,
    more: u64,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { told: Vec::new(), more: 0 }
    }

    pub(crate) fn add(&mut self, fault: impl FnOnce() -> String) {
        if self.told.len() < MOST {
            self.told.push(fault());
        } else {
            self.more += 1;
        }
    }

    /// Refuses to go on if there is one.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.told.is_empty() {
            return Ok(());
        }
        let mut text = "these events cannot be imported as they are; nothing was imported\n".to_owned();
        for fault in &self.told {
            text.push_str(&format!("  {fault}\n"));
        }
        if self.more > 0 {
            text.push_str(&format!("  and {} more\n", self.more));
        }
        text.push_str("correct them where they are, or the mapping; --renumber gives versions anew");
        Err(Failure::Usage(text))
    }
}
