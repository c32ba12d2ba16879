use serde_json::Value;

use crate::exit::Failure;

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) file: String,
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// As it was written.
    pub(super) text: String,
    /// As kubectl reads it; null where there is nothing but comments.
    pub(super) value: Value,
}

/// The documents of a text.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Document>, Failure> {
    let documents = split(text).into_iter().map(|(line, text)| {
        let value = value(text).map_err(|error| {
            Failure::Usage(format!("{file}: in the document that begins in line {line}: {error}"))
        })?;
        Ok(Document { file: file.to_owned(), line, text: text.to_owned(), value })
    });
    documents.collect()
}

/// A line that begins so ends a document wherever it stands: YAML 1.2.2, section 9.1.2.
fn is_separator(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Each document with the line where it begins. What stands on the line of a separator belongs to what follows it.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let mut begin = (1, 0);
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if is_separator(line) {
            documents.push((begin.0, &text[begin.1..at]));
            let is_empty = line[3..].trim().is_empty() || line[3..].trim_start().starts_with('#');
            begin = if is_empty { (index + 2, at + line.len()) } else { (index + 1, at + 3) };
        }
        at += line.len();
    }
    documents.push((begin.0, &text[begin.1..]));
    // a file may begin with a separator
    documents.retain(|(_, text)| !text.trim().is_empty());
    documents
}

/// By YAML 1.1, as kubectl does: `0644` is octal there, and `yes` true.
fn value(text: &str) -> Result<Value, String> {
    let is_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(is_nothing) {
        return Ok(Value::Null);
    }
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn split_values(text: &str) -> Vec<(usize, Value)> {
        let documents = read("a.yaml", text).expect("YAML");
        documents.into_iter().map(|document| (document.line, document.value)).collect()
    }

    #[test]
    fn documents_are_split_where_yaml_splits_them() {
        let text = "# first\n---\na: 1\n--- # second\nb: |\n  ---\n  c\n---\n---x: 1\n--- {d: 2}\n";
        let wanted = [
            (1, Value::Null),
            (3, json!({ "a": 1 })),
            (5, json!({ "b": "---\nc\n" })),
            (9, json!({ "---x": 1 })),
            (10, json!({ "d": 2 })),
        ];
        assert_eq!(split_values(text), wanted);
    }

    #[test]
    fn values_are_those_of_kubectl() {
        let text = "mode: 0644\nflag: yes\ntext: 'yes'\ntime: 12:30\nversion: 1.10.2\nday: 2026-11-21\n";
        let wanted = json!({
            "mode": 420, "flag": true, "text": "yes", "time": "12:30", "version": "1.10.2", "day": "2026-11-21",
        });
        assert_eq!(split_values(text), [(1, wanted)]);
        assert!(read("a.yaml", "a: [").is_err());
        assert!(read("a.yaml", "a: 1\na: 2\n").is_err(), "the same field twice");
    }
}
