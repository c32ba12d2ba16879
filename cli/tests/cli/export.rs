use serde_json::Value;

use crate::support::{Dev, outcome};

fn filled() -> Dev {
    let dev = Dev::start();
    for stream in ["a-1", "b-1"] {
        let lines: String =
            (0..300).map(|index| format!("{{\"type\":\"T\",\"data\":{{\"n\": {index}}}}}\n")).collect();
        assert!(dev.feed(&["append", stream, "-e", "any", "--events", "-"], &lines).status.success());
    }
    dev
}

#[test]
fn an_interrupted_export_goes_on_where_it_was() {
    let dev = filled();
    let whole = dev.run(&["export"]);
    assert_eq!(whole.lines().count(), 600);
    let file = dev.file("log.ndjson", "");
    let path = file.display().to_string();
    for kept in [0, 10, whole.len() / 2, whole.len() - 1, whole.len()] {
        std::fs::write(&file, &whole.as_bytes()[..kept]).expect("it is written");
        dev.run(&["export", &path]);
        assert!(std::fs::read_to_string(&file).expect("it is read") == whole, "{kept} bytes were kept");
    }
    std::fs::write(&file, format!("{whole}{{\"half")).expect("it is written");
    dev.run(&["export", &path]);
    assert!(std::fs::read_to_string(&file).expect("it is read") == whole, "half a line is removed");
    dev.run(&["append", "a-1", "-e", "any", "-t", "T"]);
    dev.run(&["export", &path]);
    let longer = std::fs::read_to_string(&file).expect("it is read");
    assert!(longer.starts_with(&whole) && longer.lines().count() == 601);
}

#[test]
fn a_file_of_something_else_is_left_as_it_is() {
    let (dev, other) = (filled(), filled());
    let foreign = other.run(&["export"]);
    // the same ids in another log are other events
    assert!(dev.feed(&["import", "-", "--renumber"], &foreign).status.success());
    for content in ["no export\n", foreign.as_str()] {
        let file = dev.file("log.ndjson", content);
        let (code, _, stderr) =
            outcome(&dev.command(&["export", &file.display().to_string()]).output().expect("it starts"));
        assert_eq!(code, 2, "{stderr}");
        assert_eq!(std::fs::read_to_string(&file).expect("it is read"), content);
    }
}

#[test]
fn an_export_can_be_a_part_of_the_log() {
    let dev = filled();
    let part = dev.run(&["export", "-", "--category", "b", "--filter", "event.data.n >= 298"]);
    let numbers: Vec<Value> = part
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["data"]["n"].clone())
        .collect();
    assert_eq!(numbers, [298, 299]);
}
