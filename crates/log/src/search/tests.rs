use bytes::Bytes;

use super::*;
use crate::{
    CommitId, DataDigest, Digest, Event, EventId, EventType, JSON, Position, StreamName, Timestamp, Version,
};

fn event(data: &str, metadata: Option<&str>) -> Event {
    let stream = StreamName::parse("Payment-1").expect("a name");
    let data = Bytes::copy_from_slice(data.as_bytes());
    Event {
        position: Position::new(7),
        category: stream.default_category(),
        aggregate_id: stream.default_aggregate_id(),
        stream,
        version: Version::new(1),
        id: EventId::new(uuid::Uuid::from_u128(1)),
        event_type: EventType::parse("Paid").expect("a type"),
        data_digest: DataDigest::of(&data),
        data: Some(data),
        content_type: JSON.into(),
        metadata: metadata.map(|metadata| Bytes::copy_from_slice(metadata.as_bytes())),
        correlation_id: None,
        causation_id: None,
        time: Timestamp::EPOCH,
        recorded_at: Timestamp::EPOCH,
        first: Position::new(7),
        last: Position::new(7),
        commit_id: CommitId::new(uuid::Uuid::from_u128(2)),
        digest: Digest::from_bytes([0; 16]),
    }
}

#[test]
fn the_text_is_the_words_of_metadata_and_data() {
    let data = r#"{"Amount": 100.00, "to":"Ada LOVELACE, o1/Ärger", "more":[{"n":-1.5e3},true,null,"it's \"6\" \u00c4"]}"#;
    let found = search_text(&event(data, Some(r#"{"user":"U-7"}"#)));
    assert_eq!(found, "u 7 100.00 ada lovelace o1 ärger 1.5e3 it's 6 ä");
}

#[test]
fn no_word_holds_a_space() {
    let found = search_text(&event("\"a\u{a0}\u{f8d}b \u{3000}\u{301}c\"", None));
    assert_eq!(found, "a \u{f8d} b c");
    let tied = event("\"x \u{a0}\u{f8d}\"", None);
    assert!(Words::parse("\u{f8d}").expect("a word").score(&tied).is_some());
}

#[test]
fn only_text_is_searched_and_only_so_much() {
    let mut other = event("Plain words 1", None);
    other.content_type = "text/plain; charset=utf-8".into();
    assert_eq!(search_text(&other), "plain words 1");
    other.content_type = "application/octet-stream".into();
    assert_eq!(search_text(&other), "");
    other.content_type = "application/vnd.x+json".into();
    other.data = None;
    assert_eq!(search_text(&other), "");
    let long =
        format!(r#"["{}", "after", "{}"]"#, "x".repeat(LONGEST_WORD + 1), "many ".repeat(LONGEST_TEXT));
    let text = search_text(&event(&long, None));
    assert!(text.starts_with("after many") && text.len() <= LONGEST_TEXT, "{}", text.len());
    assert!(text.len() > LONGEST_TEXT - 8);
}

#[test]
fn an_event_is_found_by_all_words_in_any_case_and_order() {
    let event = event(r#"{"to":"Ada Lovelace","note":"Straße ada"}"#, Some(r#"{"user":"u1"}"#));
    let score = |text: &str| Words::parse(text).expect("words").score(&event);
    for found in ["ada", "LOVELACE ada", "u1", "ada, ADA!", "Straße"] {
        assert!(score(found).is_some_and(|score| score > 0.0), "{found}");
    }
    for missed in ["ad", "ada charles", "to", "lovelaceada", "strasse"] {
        assert_eq!(score(missed), None, "{missed}");
    }
    assert!(score("ada") > score("lovelace"), "what stands twice counts more");
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let many: Vec<String> = (0..=MOST_WORDS).map(|n| n.to_string()).collect();
    assert_eq!(Words::parse("-- !"), Err(InvalidWords::None));
    assert_eq!(Words::parse(&"x".repeat(LONGEST_WORD + 1)), Err(InvalidWords::None));
    assert_eq!(Words::parse(&many.join(" ")), Err(InvalidWords::TooMany));
    assert_eq!(Words::parse(&"a ".repeat(600)), Err(InvalidWords::TooMany));
    assert_eq!(Words::parse("B a b").expect("words").iter().collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn metadata_is_looked_up_by_the_names_of_its_members() {
    let names: Vec<String> = ["a", "n", "t", "no", "o", "l", "x", "q\"", "twice"].map(str::to_owned).to_vec();
    let metadata = br#"{"a":"1 ","n":-1.50,"t":true,"no":null,"o":{"x":"inner","a":2},"l":["a","x"],"q\"":"\u0041","twice":1,"twice":[2]}"#;
    let some = |text: &str| Some(text.to_owned());
    let expected = vec![some("1 "), some("-1.50"), some("true"), None, None, None, None, some("A"), None];
    assert_eq!(metadata_values(Some(metadata), &names), expected);
    assert_eq!(metadata_values(None, &names), vec![None; names.len()]);
    assert_eq!(metadata_values(Some(b"[{\"a\":1}]"), &names[..1]), [None]);
}

#[test]
fn slices_begin_at_multiples_also_before_the_epoch() {
    let mut tally = Tally {
        range: Position::FIRST..=Position::new(9),
        narrow: Narrow::default(),
        slice: std::num::NonZeroU32::new(900),
        names: Vec::new(),
    };
    let slice = |tally: &Tally, micros| tally.slice_of(Timestamp::from_micros(micros)).as_micros();
    assert_eq!(slice(&tally, 899_999_999), 0);
    assert_eq!(slice(&tally, 900_000_000), 900_000_000);
    assert_eq!(slice(&tally, -1), -900_000_000);
    tally.slice = None;
    assert_eq!(slice(&tally, -1), 0);
}

#[test]
fn what_is_no_json_is_taken_apart_without_panic() {
    for text in
        ["", "\"", "\"\\", "{\"a", "[1,2", "nul", "{:,}", "\"\\ud800 x\"", "-", "{\"a\":\"\\u00", "é\"é"]
    {
        search_text(&event(text, Some(text)));
        metadata_values(Some(text.as_bytes()), &["a".to_owned()]);
    }
}

proptest::proptest! {
    /// What is indexed and what is looked for are taken apart by the same rule.
    #[test]
    fn every_word_of_an_event_finds_it(text in "\\PC{0,60}", number in proptest::num::f64::NORMAL) {
        let event = event(&serde_json::json!({"text": text, "n": [number]}).to_string(), None);
        for word in search_text(&event).split_whitespace() {
            let words = Words::parse(word).expect("a word");
            proptest::prop_assert!(words.score(&event).is_some(), "{word:?} does not find {text:?}");
        }
    }
}
