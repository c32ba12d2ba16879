use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc,
    thread,
};

use serde_json::Value;

use crate::support::{Dev, PATIENCE};

struct Tail {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Tail {
    fn start(dev: &Dev, options: &[&str]) -> Self {
        let arguments = [&["tail", "-o", "ndjson"], options].concat();
        let mut process =
            dev.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::sync_channel(0);
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("it is shown at once");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn append(dev: &Dev, number: u64) {
    dev.run(&["append", "s", "-e", "any", "-t", "T", "-d", &number.to_string(), "--timeout", "30s"]);
}

#[test]
fn each_event_is_shown_once_though_the_sidecar_is_killed() {
    let mut dev = Dev::start();
    (1..=3).for_each(|number| append(&dev, number));
    let mut tail = Tail::start(&dev, &["--from", "beginning"]);
    (1..=3).for_each(|number| assert_eq!(tail.next()["data"], number));
    append(&dev, 4);
    assert_eq!(tail.next()["data"], 4);
    for round in 0..2 {
        dev.kill();
        dev.restart();
        append(&dev, 5 + round);
        assert_eq!(tail.next()["data"], 5 + round);
    }
}

#[test]
fn a_live_tail_shows_each_event_at_once() {
    let dev = Dev::start();
    append(&dev, 1);
    let mut tail = Tail::start(&dev, &["--from", "beginning"]);
    // nothing else comes that could push it out
    (1..=3).for_each(|number| {
        assert_eq!(tail.next()["data"], number);
        append(&dev, number + 1);
    });
}

#[test]
fn a_tail_can_end_with_what_there_is() {
    let dev = Dev::start();
    (1..=3).for_each(|number| append(&dev, number));
    let shown = dev.run(&["tail", "--from", "4", "--until-caught-up"]);
    assert_eq!(shown, "       5  s 2  T  2\n       6  s 3  T  3\n");
    assert_eq!(dev.run(&["tail", "--until-caught-up"]), "", "what is old is not shown");
    assert_eq!(dev.run(&["tail", "--from", "beginning", "--until-caught-up", "--type", "U"]), "");
}
