//! Append requests as bytes that are made once: a call only puts its stream's number and fresh ids in.

use prost::Message;
use rand::rngs::StdRng;

use crate::load::{DATA, METADATA, new_id};

/// The first stream.
pub const STREAM: &str = "Payment-0000";
const ID: &str = "00000000-0000-0000-0000-000000000000";
/// A flag for compression and the length.
const PREFIX: usize = 5;

/// A message as a gRPC method takes it.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let mut bytes = vec![0; PREFIX];
    message.encode(&mut bytes).expect("a vector grows as it must");
    let length = u32::try_from(bytes.len() - PREFIX).expect("a small message");
    bytes[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A request of a gRPC method, framed.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where the stream's four digits stand.
    streams: Vec<usize>,
    ids: Vec<usize>,
}

impl Template {
    /// For a message that names its stream [`STREAM`] and its events [`ID`].
    fn of(message: &impl Message) -> Self {
        let bytes = framed(message);
        let find = |text: &str| -> Vec<usize> {
            let text = text.as_bytes();
            (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text)).collect()
        };
        let streams = find(STREAM).into_iter().map(|at| at + STREAM.len() - 4).collect();
        let ids = find(ID);
        Self { bytes, streams, ids }
    }

    /// An append to the stream with this number, below 10,000, with fresh ids.
    pub fn fill(&mut self, stream: usize, random: &mut StdRng) -> &[u8] {
        let digits = [1000, 100, 10, 1].map(|unit| b'0' + (stream / unit % 10) as u8);
        for at in &self.streams {
            self.bytes[*at..*at + 4].copy_from_slice(&digits);
        }
        for at in &self.ids {
            new_id(random).hyphenated().encode_lower(&mut self.bytes[*at..*at + ID.len()]);
        }
        &self.bytes
    }
}

/// Polylog: one commit of so many events to one stream, whatever it is at.
pub fn polylog(events: usize) -> Template {
    use polylog_api::proto::polylog::v1;
    let event = v1::NewEvent {
        id: ID.into(),
        r#type: "PaymentNoted".into(),
        data: DATA.into(),
        metadata: METADATA.into(),
        ..Default::default()
    };
    let expected = v1::Expected { kind: Some(v1::expected::Kind::Any(true)) };
    let append = v1::StreamAppend {
        stream: STREAM.into(),
        expected: Some(expected),
        events: vec![event; events],
        ..Default::default()
    };
    Template::of(&v1::AppendRequest { appends: vec![append], ..Default::default() })
}

/// UmaDB: so many events with one tag, without a condition. It has no metadata: they go with the data.
pub fn umadb(events: usize) -> Template {
    let event = UmadbEvent {
        event_type: "PaymentNoted".into(),
        tags: vec![STREAM.into()],
        data: [DATA, METADATA].concat().into(),
        uuid: ID.into(),
    };
    Template::of(&UmadbAppend { events: vec![event; events] })
}

/// UmaDB: everything, or what has this tag.
pub fn umadb_read(tag: Option<&str>) -> Vec<u8> {
    let item = |tag: &str| UmadbQueryItem { tags: vec![tag.to_owned()] };
    let query = tag.map(|tag| UmadbQuery { items: vec![item(tag)] });
    framed(&UmadbRead { query })
}

/// How often a message has this field, if all its fields are numbers or have a length.
pub fn count_field(mut message: &[u8], field: u32) -> u64 {
    let mut count = 0;
    while let Ok((number, kind)) = prost::encoding::decode_key(&mut message) {
        count += u64::from(number == field);
        let skipped = prost::encoding::skip_field(kind, number, &mut message, Default::default());
        if skipped.is_err() {
            break;
        }
    }
    count
}

/// `umadb.v1.Event`
#[derive(Clone, PartialEq, Message)]
struct UmadbEvent {
    #[prost(string, tag = "1")]
    event_type: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
    #[prost(string, tag = "4")]
    uuid: String,
}

/// `umadb.v1.AppendRequest`
#[derive(Clone, PartialEq, Message)]
struct UmadbAppend {
    #[prost(message, repeated, tag = "1")]
    events: Vec<UmadbEvent>,
}

/// `umadb.v1.QueryItem`
#[derive(Clone, PartialEq, Message)]
struct UmadbQueryItem {
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
}

/// `umadb.v1.Query`
#[derive(Clone, PartialEq, Message)]
struct UmadbQuery {
    #[prost(message, repeated, tag = "1")]
    items: Vec<UmadbQueryItem>,
}

/// `umadb.v1.ReadRequest`
#[derive(Clone, PartialEq, Message)]
struct UmadbRead {
    #[prost(message, optional, tag = "1")]
    query: Option<UmadbQuery>,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn only_stream_and_ids_change() {
        let mut template = polylog(3);
        assert_eq!((template.streams.len(), template.ids.len()), (1, 3));
        let filled = template.fill(4321, &mut StdRng::seed_from_u64(1)).to_vec();
        let request = polylog_api::proto::polylog::v1::AppendRequest::decode(&filled[PREFIX..]);
        let append = &request.expect("a request").appends[0];
        assert_eq!(append.stream, "Payment-4321");
        assert_eq!(append.events[2].data, DATA.as_bytes());
        assert!(append.events.iter().all(|event| event.id != ID));
        assert_ne!(append.events[0].id, append.events[1].id);
    }
}
