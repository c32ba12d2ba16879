//! The append path over sources: group commit, bootstrap, reads
