use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
};

use crate::support::{Dev, outcome, polylog, until};

fn run(mut command: Command) -> (i32, String, String) {
    outcome(&command.output().expect("it starts"))
}

#[test]
fn nobody_there_is_told_apart_from_an_answer_that_was_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let append = ["append", "s", "-e", "any", "-t", "T", "--timeout", "500ms", "--url", &url];
    thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            read_and_close(stream.expect("a connection"));
        }
    });
    let (code, _, stderr) = run(polylog(&append));
    assert_eq!(code, 4, "{stderr}");
    assert!(
        stderr.contains("not known whether") && stderr.contains("send the same event ids again"),
        "{stderr}"
    );

    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("it is bound"));
    drop(free);
    let (code, _, stderr) = run(polylog(&["status", "--timeout", "100ms", "--url", &url]));
    assert!(code == 3 && stderr.contains("cannot be reached") && stderr.contains("polylog dev"), "{stderr}");
}

/// Takes a request, and closes without an answer.
fn read_and_close(mut stream: TcpStream) {
    let read = stream.read(&mut [0; 4096]).expect("a request");
    assert!(read > 0);
}

#[test]
fn wrong_arguments_are_told_before_anything_is_sent() {
    let cases: [&[&str]; 9] = [
        &[],
        &["append", "s", "-t", "T"],
        &["append", "$s", "-e", "any", "-t", "T"],
        &["append", "s", "-e", "-1", "-t", "T"],
        &["append", "s", "-e", "any", "-t", "T", "-d", "{"],
        &["append", "s", "-e", "any", "-t", "T", "--events", "-"],
        &["read", "--consistency", "none"],
        &["status", "--url", "https://x", "--ca", "/nowhere"],
        &["status", "--url", "localhost:7300"],
    ];
    for arguments in cases {
        let (code, stdout, stderr) = run(polylog(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_interrupted_command_says_so_by_its_code() {
    let dev = Dev::start();
    dev.run(&["append", "s", "-e", "any", "-t", "T"]);
    let mut command = dev.command(&["tail", "--from", "beginning"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut byte = [0];
    until("the first event is shown", || stdout.read(&mut byte).expect("it is read") == 1);
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("it starts");
    assert!(killed.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, stdout, _) = run(polylog(&["completions", shell]));
        assert!(code == 0 && stdout.contains("polylog") && stdout.contains("append"), "{shell}");
    }
}
