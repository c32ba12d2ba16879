use crate::{
    AggregateId, Category, Commit, EventType, Expected, NewEvent, StreamAppend, StreamName,
    conformance::{
        Kit,
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

/// Names that some collation, normalisation, padding or escaping takes for equal, or changes.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "order", "Order", "ORDER", "order.", "order..", "ordér", "orde\u{301}r", "orde\u{301}\u{323}r",
        "orde\u{323}\u{301}r", "\u{e9}", "e\u{301}", "strasse", "straße", "STRASSE", "ﬁ", "fi", "İ", "i", "ı", "I",
        "Å", "\u{212b}", "a\\b", "a\\\\b", "a/b", "a%b", "a_b", "a'b", "a''b", "a\"b", "a`b", "a;--", "😀", "😁",
        "\u{1f600}\u{fe0f}", "x\u{a0}", "x\u{200b}", "x", "٣", "3", "０", "0", "00", "0x0", "null", "NULL", "true",
        "a-b", "a-b-c", "-a", "a-", "{}", "[1]", "日本", "日本\u{3000}", "%00", "\\0", "\\u0000", "Ω", "\u{2126}",
    ]
    .map(String::from)
    .into();
    names.push("n".repeat(200));
    names.push(format!("{}m", "n".repeat(199)));
    names.push("😀".repeat(50));
    names.push(format!("{}😁", "😀".repeat(49)));
    names
}

/// Streams, categories, aggregate ids and types of such names stay apart.
pub(super) async fn names_are_told_apart_by_their_bytes(kit: Kit) -> Checked {
    let mut subject = Subject::primary(&kit).await?;
    let names = names();
    for (index, name) in names.iter().enumerate() {
        StreamName::parse(name).map_err(crate::conformance::Violation::new)?;
        let event = |_| NewEvent { event_type: EventType::recorded(name), ..kit.event() };
        let events = (0..1 + index % 3).map(event).collect();
        let append = StreamAppend::new(StreamName::recorded(name), Expected::NoStream, events);
        let attributes = (Some(Category::recorded(name)), Some(AggregateId::recorded(name)));
        let (category, aggregate_id) = attributes;
        let append = StreamAppend { category, aggregate_id, ..append };
        subject.commit(Commit::new(subject.log(), vec![append])).await?;
    }
    subject.crash().await?;
    let entries = subject.audit().await?;
    for (name, entry) in names.iter().zip(&entries[2..]) {
        for event in &entry.events {
            ensure_eq!(event.stream.as_str(), name, "a stream's name");
            ensure_eq!(event.category.as_str(), name, "a category");
            ensure_eq!(event.aggregate_id.as_str(), name, "an aggregate id");
            ensure_eq!(event.event_type.as_str(), name, "an event type");
        }
    }
    ensure_eq!(entries.len(), 2 + names.len(), "entries");
    every_one_has_its_own(&subject, &names).await
}

/// One by one: an audit looks only some of them up.
async fn every_one_has_its_own(subject: &Subject, names: &[String]) -> Checked {
    for (index, name) in names.iter().enumerate() {
        let read = crate::ReadStream {
            stream: StreamName::recorded(name),
            from: crate::Version::FIRST,
            backward: false,
            max_events: 10,
            max_bytes: usize::MAX,
        };
        let page = subject.read_stream(read).await?;
        ensure_eq!(page.events.len(), 1 + index % 3, "the events of stream {name:?}");
        let read = crate::ReadCategory {
            category: Category::recorded(name),
            range: crate::Position::FIRST..=crate::Position::new(u64::MAX),
            backward: false,
            max_events: 10,
            max_bytes: usize::MAX,
        };
        let page = subject.read_category(read).await?;
        ensure!(page.events.len() == 1 + index % 3, "{} events in category {name:?}", page.events.len());
    }
    Ok(())
}
