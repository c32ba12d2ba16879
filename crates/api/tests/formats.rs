//! Admin calls as this version sends them, and as others may.
#![cfg(feature = "grpc")]

use polylog_api::proto::polylog::admin::v1::{Config, PutConfigRequest};
use prost::Message;

fn whole() -> PutConfigRequest {
    let config = Config {
        acks: "Majority".into(),
        min_in_sync: 2,
        failover: "Manual".into(),
        divergence: "Quarantine".into(),
        order: vec!["ledger".into(), "archive".into()],
        max_unreplicated_events: Some(10_000),
    };
    PutConfigRequest { store: "payments".into(), expected_version: 7, config: Some(config) }
}

/// What gateways of later versions must still read: `POLYLOG_GENERATE=1` writes it.
#[test]
fn a_call_is_sent_as_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/formats/put-config-1.hex");
    let text: String = whole().encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
    if std::env::var_os("POLYLOG_GENERATE").is_some() {
        std::fs::write(path, text + "\n").expect("it is written");
    } else {
        assert_eq!(std::fs::read_to_string(path).expect("the record").trim(), text, "see docs/upgrades.md");
    }
}

#[test]
fn fields_of_other_versions_are_left_out_or_have_their_default() {
    let mut newer = whole().encode_to_vec();
    // field 99, a text
    newer.extend([0x9a, 0x06, 0x05]);
    newer.extend(b"night");
    assert_eq!(PutConfigRequest::decode(&newer[..]).expect("a newer one's"), whole());
    let older = PutConfigRequest::decode(&[0x10, 0x07][..]).expect("an older one's");
    assert_eq!(older, PutConfigRequest { expected_version: 7, ..PutConfigRequest::default() });
}
