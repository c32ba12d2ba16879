//! How many connections a server lets a credential have.

/// The lowest of the limits that count for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// Which it is.
    pub name: &'static str,
    /// So many, of everybody for whom it counts.
    pub most: u32,
}

impl ConnectionLimit {
    /// The lowest of these; a negative number is no limit.
    pub fn lowest(limits: &[(&'static str, i64)]) -> Option<Self> {
        let limits = limits.iter().filter_map(|(name, most)| Some((*name, u64::try_from(*most).ok()?)));
        let (name, most) = limits.min_by_key(|(_, most)| *most)?;
        Some(Self { name, most: u32::try_from(most).unwrap_or(u32::MAX) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_counts_and_a_negative_number_is_none() {
        let most = |limits| ConnectionLimit::lowest(limits).map(|limit| (limit.name, limit.most));
        assert_eq!(most(&[("server", 97), ("database", -1), ("role", 20)]), Some(("role", 20)));
        assert_eq!(most(&[("server", 97), ("database", -1), ("role", 0)]), Some(("role", 0)));
        assert_eq!(most(&[("server", -1)]), None);
    }
}
