//! What a source's own index is asked, so that it finds and counts what the caller may see.

use polylog_log::{Category, Count, Sought};
use polylog_replication::Search;

use super::View;

/// What is sought up to the end of a search; `None` = an index cannot be asked for that, or says nothing. Where patterns say
/// what may be seen, the kinds that there are are counted first, and those that match are named. `looks_at_content` = what
/// is redacted matters.
pub(crate) async fn sought(view: &View, search: &Search, looks_at_content: bool) -> Option<Sought> {
    let mut sought = Sought { to: search.end().position, ..view.sought()? };
    let is_whole = |categories: Option<&[&Category]>| !looks_at_content || view.shows_whole(categories);
    if !view.looks_at_patterns() && is_whole(None) {
        return Some(sought);
    }
    let count = Count { sought: sought.clone(), slice: None, names: Vec::new() };
    let (counted, _) = search.count_by_index(count).await?;
    let shown = counted.rows.into_iter().filter(|row| view.may_show(&row.event_type, &row.category));
    let mut kinds: Vec<_> = shown.map(|row| (row.category, row.event_type)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    // streams of the log's own are shown by other rules
    let is_plain = kinds.iter().all(|(category, _)| !category.is_system());
    let categories: Vec<&Category> = kinds.iter().map(|(category, _)| category).collect();
    let is_known = is_plain && is_whole(Some(&categories));
    is_known.then(|| sought.kinds = Some(kinds))?;
    Some(sought)
}
