//! Running tools for real: commands through `sh`, files through the file system.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::control::Control;
use super::hooks::{add_environment, kill_group, shell};
use super::payload::Common;

/// What a tool gave back.
#[derive(Debug)]
pub struct Ran {
    /// `tool_response` of the hook, or the error's text.
    pub result: Result<Value, String>,
    /// What the model reads.
    pub text: String,
    pub interrupted: bool,
    pub duration_ms: u64,
    pub lines_added: u64,
    pub lines_removed: u64,
}

/// Runs a tool. `run` replaces what the tool itself would do by a shell command.
#[must_use]
pub fn run(
    name: &str,
    input: &Value,
    run: Option<&str>,
    common: &Common,
    control: &Control,
) -> Ran {
    let start = Instant::now();
    let mut ran = match (run, name) {
        (Some(command), _) => run_command(command, common, control),
        (None, "Bash") => run_command(input["command"].as_str().unwrap_or("true"), common, control),
        (None, "Write") => write_file(input, &common.cwd),
        (None, "Edit") => edit_file(input, &common.cwd),
        (None, "Read") => read_file(input, &common.cwd),
        (None, _) => done(json!({}), String::new()),
    };
    ran.duration_ms = start.elapsed().as_millis() as u64;
    ran
}

fn done(response: Value, text: String) -> Ran {
    Ran {
        result: Ok(response),
        text,
        interrupted: false,
        duration_ms: 0,
        lines_added: 0,
        lines_removed: 0,
    }
}

fn failed(error: String) -> Ran {
    Ran {
        text: error.clone(),
        result: Err(error),
        interrupted: false,
        duration_ms: 0,
        lines_added: 0,
        lines_removed: 0,
    }
}

fn run_command(command: &str, common: &Common, control: &Control) -> Ran {
    use std::os::unix::process::CommandExt as _;
    let output =
        tempfile::tempfile().and_then(|out| Ok((out.try_clone()?, out, tempfile::tempfile()?)));
    let Ok((out, mut out_reader, error_file)) = output else {
        return failed("no temporary file for the output".into());
    };
    let mut error_reader = match error_file.try_clone() {
        Ok(reader) => reader,
        Err(error) => return failed(error.to_string()),
    };
    let mut process = shell(command);
    add_environment(&mut process, common);
    let spawned = process
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(error_file)
        .process_group(0)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return failed(error.to_string()),
    };
    let mut interrupted = false;
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code().unwrap_or(-1),
            Ok(None) => {}
            Err(error) => return failed(error.to_string()),
        }
        if control.pause(Duration::from_millis(5)).is_err() {
            interrupted = true;
            kill_group(child.id());
            drop(child.wait());
            break -1;
        }
    };
    let stdout = read_back(&mut out_reader);
    let stderr = read_back(&mut error_reader);
    if interrupted {
        let mut ran = failed("[Request interrupted by user for tool use]".into());
        ran.interrupted = true;
        return ran;
    }
    if code != 0 {
        let text = [stdout.as_str(), stderr.as_str()].join("\n");
        return failed(format!("Exit code {code}\n{}", text.trim()));
    }
    let response = json!({
        "stdout": stdout, "stderr": stderr, "interrupted": false, "isImage": false,
        "noOutputExpected": stdout.is_empty() && stderr.is_empty(),
    });
    done(response, stdout)
}

fn read_back(file: &mut std::fs::File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    drop(file.rewind());
    drop(file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn file_path(input: &Value, cwd: &str) -> std::path::PathBuf {
    Path::new(cwd).join(input["file_path"].as_str().unwrap_or("file.txt"))
}

fn count_lines(text: &str) -> u64 {
    text.lines().count() as u64
}

fn write_file(input: &Value, cwd: &str) -> Ran {
    let path = file_path(input, cwd);
    let content = input["content"].as_str().unwrap_or_default();
    let before = std::fs::read_to_string(&path).ok();
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, content));
    if let Err(error) = written {
        return failed(format!("writing {}: {error}", path.display()));
    }
    let kind = if before.is_some() { "update" } else { "create" };
    let mut ran = done(
        json!({"type": kind, "filePath": path, "content": content, "structuredPatch": [], "originalFile": before}),
        format!("File created successfully at: {}", path.display()),
    );
    ran.lines_added = count_lines(content);
    ran.lines_removed = before.as_deref().map_or(0, count_lines);
    ran
}

fn edit_file(input: &Value, cwd: &str) -> Ran {
    let path = file_path(input, cwd);
    let old = input["old_string"].as_str().unwrap_or_default();
    let new = input["new_string"].as_str().unwrap_or_default();
    let before = match std::fs::read_to_string(&path) {
        Ok(before) => before,
        Err(error) => return failed(format!("reading {}: {error}", path.display())),
    };
    if old.is_empty() || !before.contains(old) {
        return failed(format!(
            "String to replace not found in file.\nString: {old}"
        ));
    }
    if let Err(error) = std::fs::write(&path, before.replacen(old, new, 1)) {
        return failed(format!("writing {}: {error}", path.display()));
    }
    let mut ran = done(
        json!({"filePath": path, "oldString": old, "newString": new, "originalFile": before,
               "structuredPatch": [], "userModified": false, "replaceAll": false}),
        format!("The file {} has been updated.", path.display()),
    );
    ran.lines_added = count_lines(new);
    ran.lines_removed = count_lines(old);
    ran
}

fn read_file(input: &Value, cwd: &str) -> Ran {
    let path = file_path(input, cwd);
    match std::fs::read_to_string(&path) {
        Ok(content) => {
            let lines = count_lines(&content);
            let file = json!({"filePath": path, "content": content, "numLines": lines, "startLine": 1, "totalLines": lines});
            done(json!({"type": "text", "file": file}), content)
        }
        Err(error) => failed(format!("reading {}: {error}", path.display())),
    }
}
