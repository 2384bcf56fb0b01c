//! The scripted model server against the real Claude Code client, in a network with nothing but loopback.

use std::path::PathBuf;

use claustre_tests::TestEnv;
use claustre_tests::anthropic::{AnthropicServer, Script};
use claustre_tests::netns::Network;
use serde_json::{Value, json};

use super::skip;

/// The real client and a network for it, or the reason to skip.
pub fn client() -> Result<(PathBuf, Network), String> {
    let program = std::env::var_os("CLAUSTRE_TEST_CLAUDE")
        .map(PathBuf::from)
        .ok_or("CLAUSTRE_TEST_CLAUDE does not name a client")?;
    if !program.is_file() {
        return Err(format!(
            "CLAUSTRE_TEST_CLAUDE names no file: {}",
            program.display()
        ));
    }
    Ok((program, Network::create()?))
}

/// Runs `claude -p PROMPT --output-format json` in a fresh repository against a scripted model.
fn print_mode(
    program: &PathBuf,
    network: &Network,
    script: &Value,
    arguments: &[&str],
) -> (Value, Vec<Value>) {
    let env = TestEnv::new();
    let repository = env.git_repo("shop");
    network.inside(|| {
        let server = AnthropicServer::start(Script::from_json(script)).unwrap();
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", repository.parent().unwrap())
            .env("LANG", "C.UTF-8")
            .env("ANTHROPIC_API_KEY", "sk-ant-fake-000")
            .env("ANTHROPIC_BASE_URL", server.url())
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("DISABLE_TELEMETRY", "1")
            .env("DISABLE_AUTOUPDATER", "1")
            .env("CLAUDE_CODE_MAX_RETRIES", "2")
            .args(["--output-format", "json"])
            .args(arguments)
            .current_dir(&repository)
            .stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "no JSON ({error}): {output:?}; requests: {:?}",
                server.requests()
            )
        });
        (answer, server.main_requests())
    })
}

#[test]
fn the_real_client_runs_a_scripted_turn_with_a_tool() {
    let (program, network) = match client() {
        Ok(client) => client,
        Err(reason) => return skip("the model server with the real client", &reason),
    };
    let script = json!({"turns": [{"match": "run the demo", "steps": [
        {"thinking": "A command will do.", "text": "I will run a command.",
         "tool_use": {"name": "Bash", "input": {"command": "echo hello-$((40 + 2))", "description": "Say hello"}}},
        {"text": "All done.", "usage": {"output_tokens": 120}}]}]});
    let (answer, requests) = print_mode(
        &program,
        &network,
        &script,
        &["--allowedTools", "Bash(echo *)", "-p", "run the demo"],
    );
    assert_eq!(answer["result"], "All done.", "{answer:#}");
    assert_eq!(answer["is_error"], false);
    assert_eq!(requests.len(), 2, "{requests:#?}");
    let result = requests[1]["body"]["messages"].to_string();
    assert!(
        result.contains("hello-42"),
        "the tool's output goes back to the model: {result}"
    );
}

#[test]
fn the_real_client_sees_scripted_errors_as_the_service_s() {
    let (program, network) = match client() {
        Ok(client) => client,
        Err(reason) => return skip("scripted errors with the real client", &reason),
    };
    let script = json!({"turns": [
        {"match": "overloaded", "steps": [
            {"error": {"status": 529, "type": "overloaded_error", "message": "Overloaded"}}, {"text": "Recovered."}]},
        {"match": "bad request", "steps": [
            {"times": 9, "error": {"status": 400, "type": "invalid_request_error", "message": "scripted"}}]}]});
    let (answer, _) = print_mode(&program, &network, &script, &["-p", "overloaded"]);
    assert_eq!(answer["result"], "Recovered.");
    let (answer, _) = print_mode(&program, &network, &script, &["-p", "bad request"]);
    assert_eq!(
        (&answer["is_error"], &answer["api_error_status"]),
        (&json!(true), &json!(400)),
        "{answer:#}"
    );
}
