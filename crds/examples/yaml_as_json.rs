//! Prints every document of YAML files as one line of JSON, as manifests are read, so that other YAML readers can be
//! compared with ours: `cargo run -p polylog-crds --example yaml_as_json FILE...`. With `--scalars`, reads lines of
//! plain text instead and prints what each means, or `null` where we refuse it.

use std::error::Error;
use std::io::BufRead;

use polylog_crds::manifests::{Scalar, documents_as_json, read_plain};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    for argument in std::env::args().skip(1) {
        if argument == "--scalars" {
            for line in std::io::stdin().lock().lines() {
                println!("{}", meaning(&line?));
            }
        } else {
            for document in documents_as_json(&std::fs::read_to_string(&argument)?)? {
                println!("{document}");
            }
        }
    }
    Ok(())
}

fn meaning(text: &str) -> Value {
    match read_plain(text) {
        Err(_) | Ok(Scalar::Special(_)) => Value::Null,
        Ok(Scalar::Null) => json!({ "null": true }),
        Ok(Scalar::Bool(value)) => json!({ "bool": value }),
        Ok(Scalar::Integer(value)) => json!({ "int": value.to_string() }),
        Ok(Scalar::Float(value)) => json!({ "float": value.to_string() }),
        Ok(Scalar::Text) => json!({ "text": text }),
    }
}
