//! Whatever we take, a YAML 1.1 reader reads alike. The table was recorded from PyYAML by `yaml11.py`, which also
//! compares far more scalars and whole files.

use polylog_crds::manifests::{Scalar, read_plain};
use serde_json::{Value, json};

#[test]
fn what_is_taken_means_the_same_to_a_yaml_1_1_reader() {
    let (mut taken, mut refused) = (0, 0);
    for line in include_str!("yaml11/scalars.jsonl").lines() {
        let row: Value = serde_json::from_str(line).expect("a row");
        let text = row["scalar"].as_str().expect("text");
        let theirs = &row["pyyaml"];
        let ours = match read_plain(text) {
            Err(_) | Ok(Scalar::Special(_)) => {
                refused += 1;
                continue;
            }
            Ok(Scalar::Null) => json!({ "null": true }),
            Ok(Scalar::Bool(value)) => json!({ "bool": value }),
            Ok(Scalar::Integer(value)) => json!({ "int": value.to_string() }),
            Ok(Scalar::Text) => json!({ "text": text }),
            Ok(Scalar::Float(value)) => {
                let theirs = theirs["float"].as_str().expect("a float").replace("inf", "infinity");
                assert_eq!(Ok(value), theirs.parse(), "{text}");
                taken += 1;
                continue;
            }
        };
        assert_eq!(&ours, theirs, "{text}");
        taken += 1;
    }
    assert!(taken > 60 && refused > 40, "{taken} taken, {refused} refused");
}
