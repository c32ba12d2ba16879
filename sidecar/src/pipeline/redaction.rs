use std::borrow::Cow;

use bytes::Bytes;
use polylog_api::{DataState, is_json};
use polylog_log::{Event, RecordedEvent};

use crate::json::Pointers;

/// How an event is shown to a caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As recorded.
    Whole,
    /// With other data than recorded; `None` = without any.
    Redacted(Option<Bytes>),
}

/// Removes what the pointers name from an event's data. Data that is not JSON is shown whole, unless all data is named:
/// pointers into JSON say nothing about it. JSON that cannot be taken apart is withheld.
pub(super) fn redact(pointers: &Pointers, event: &Event) -> Shown {
    let Some(data) = &event.data else { return Shown::Whole };
    if pointers.names_everything() {
        return Shown::Redacted(None);
    }
    if !is_json(&event.content_type) {
        return Shown::Whole;
    }
    match pointers.remove_from(data) {
        Ok(None) => Shown::Whole,
        Ok(Some(edited)) => Shown::Redacted(Some(Bytes::from(edited))),
        Err(_) => Shown::Redacted(None),
    }
}

impl Shown {
    /// The event and what is to be said of its data.
    pub(crate) fn apply(self, recorded: &RecordedEvent) -> (Cow<'_, RecordedEvent>, DataState) {
        match self {
            Shown::Whole if recorded.event.data.is_some() => (Cow::Borrowed(recorded), DataState::Present),
            Shown::Whole => (Cow::Borrowed(recorded), DataState::Unavailable),
            Shown::Redacted(data) => {
                let mut shown = recorded.clone();
                shown.event.data = data;
                (Cow::Owned(shown), DataState::Redacted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    #[test]
    fn only_what_is_named_goes() {
        let mut pointers = Pointers::default();
        assert!(pointers.add("/iban"));
        let shown = redact(&pointers, &event(r#"{"a":1e400,"iban":"x"}"#));
        assert_eq!(shown, Shown::Redacted(Some(Bytes::from_static(br#"{"a":1e400}"#))));
        assert_eq!(redact(&pointers, &event(r#"{"a":1}"#)), Shown::Whole);
        assert_eq!(redact(&pointers, &event(r#"{"a":"#)), Shown::Redacted(None));
        let mut text = event("iban");
        text.content_type = "text/plain".into();
        assert_eq!(redact(&pointers, &text), Shown::Whole);
        assert!(pointers.add(""));
        assert_eq!(redact(&pointers, &text), Shown::Redacted(None));
    }
}
