//! The scripted model server as a program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use claustre_tests::env::{built_binary, read_json_lines};
use claustre_tests::{TestEnv, wait_for};
use serde_json::{Value, json};

fn ask(port: u16, text: &str) -> Value {
    let body = json!({"model": "m", "tools": [{"name": "Bash"}], "messages": [{"role": "user", "content": text}]});
    let body = body.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn the_program_serves_its_script_and_reads_it_again_when_it_changes() {
    let env = TestEnv::new();
    let script =
        |text: &str| json!({"turns": [{"match": "hi", "steps": [{"text": text}]}]}).to_string();
    let file = env.write("model.json", &script("one"));
    let log = env.path("api.jsonl");
    let mut command = env.command(built_binary("fake-anthropic"));
    command
        .arg("--script")
        .arg(&file)
        .args(["--port", "0", "--log"])
        .arg(&log);
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port: u16 = line
        .strip_prefix("listening ")
        .unwrap()
        .trim()
        .parse()
        .unwrap();

    assert_eq!(ask(port, "hi")["content"][0]["text"], "one");
    env.write("model.json", &script("two"));
    wait_for("the changed script", Duration::from_secs(10), || {
        ask(port, "hi")["content"][0]["text"] == "two"
    });
    assert_eq!(read_json_lines(&log)[0]["kind"], "main");
    server.kill().unwrap();
    server.wait().unwrap();
}
