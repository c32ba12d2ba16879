//! Two simulated sources: one with a transaction, one with single-document updates
