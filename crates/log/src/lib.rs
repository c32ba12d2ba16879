//! The event, the log and the contract that every source keeps
