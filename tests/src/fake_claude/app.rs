//! The main loop: keys, signals and what the turn reports, drawn on the terminal.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::args::{self, Arguments, Request};
use super::control::Answer;
use super::keys::{Key, Parser};
use super::payload::HookEvent;
use super::registry::{self, Status};
use super::screen::{Bottom, Dialog, Screen, first_line};
use super::shared::{Event, Shared, TurnEnd};
use super::startup::{self, Prepared};
use super::transcript::Transcript;
use super::{print_mode, status_line, turn};

/// An Enter this soon after a paste is swallowed, as the real client sometimes does.
const PASTE_SWALLOWS_ENTER: Duration = Duration::from_millis(50);

/// A lone escape byte is the Escape key after this time.
const ESCAPE_SETTLES: Duration = Duration::from_millis(30);

/// Runs the program; returns its exit code.
#[must_use]
pub fn main(arguments: &[String]) -> i32 {
    let arguments = match args::parse(arguments) {
        Ok(Request::Version) => {
            println!("{} (Claude Code)", super::version());
            return 0;
        }
        Ok(Request::Help) => {
            println!("Usage: claude [options] [command] [prompt]");
            return 0;
        }
        Ok(Request::Agents) => {
            let short: Vec<_> = registry::alive(&startup::home())
                .into_iter()
                .map(short_entry)
                .collect();
            println!("{}", serde_json::Value::Array(short));
            return 0;
        }
        Ok(Request::Start(arguments)) => arguments,
        Err(text) => {
            eprintln!("{text}");
            return 1;
        }
    };
    startup::log_start();
    let prepared = match startup::prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(text) => {
            eprintln!("{text}");
            return 1;
        }
    };
    if arguments.print {
        let mut prompt = arguments.prompt.clone().unwrap_or_default();
        if prompt.is_empty() {
            drop(std::io::stdin().read_to_string(&mut prompt));
        }
        let as_json = arguments.output_format.as_deref() == Some("json");
        return print_mode::run(prepared, &prompt, as_json);
    }
    App::new(prepared, &arguments).run()
}

/// The fields that `claude agents --json` prints.
fn short_entry(mut entry: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = entry.as_object_mut() {
        let kept = [
            "pid",
            "cwd",
            "kind",
            "startedAt",
            "sessionId",
            "name",
            "status",
            "waitingFor",
        ];
        fields.retain(|name, _| kept.contains(&name.as_str()));
    }
    entry
}

/// A dialog on the screen and who is told of the answer.
enum Open {
    /// Of the turn, with its number.
    Turn(u64, Dialog),
    /// What blocks the start.
    Obstacle(Dialog),
    /// The menu after a usage limit.
    LimitMenu(Dialog),
}

struct App {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    screen: Screen,
    source: &'static str,
    keys: Parser,
    input: String,
    queue: Vec<String>,
    ready: bool,
    busy: bool,
    open: Option<Open>,
    footer: String,
    exit_armed: bool,
    last_paste: Option<Instant>,
    /// When the idle notification is due.
    idle_at: Option<Instant>,
    lines: Vec<String>,
}

impl App {
    fn new(prepared: Prepared, arguments: &Arguments) -> Self {
        let Prepared {
            shared,
            events,
            status_line,
            source,
            obstacle,
        } = prepared;
        let line = Arc::clone(&shared);
        std::thread::spawn(move || status_line::serve(&line, &status_line));
        let screen = Screen::open(arguments.name.as_deref().unwrap_or("Claude Code"));
        let mut app = Self {
            lines: vec![
                format!("✻ Claude Code v{} (stand-in)", super::version()),
                format!("  {} · {}", shared.model, shared.cwd.display()),
            ],
            shared,
            events,
            screen,
            source,
            keys: Parser::default(),
            input: String::new(),
            queue: arguments.prompt.iter().cloned().collect(),
            ready: false,
            busy: false,
            open: None,
            footer: String::new(),
            exit_armed: false,
            last_paste: None,
            idle_at: None,
        };
        if let Some(text) = obstacle {
            let mut lines = text.lines().map(str::to_owned);
            app.open = Some(Open::Obstacle(Dialog {
                title: lines.next().unwrap_or_default(),
                lines: lines.collect(),
                question: "What do you want to do?".into(),
                options: if text.starts_with("Accessing") {
                    vec!["Yes, I trust this folder".into(), "No, exit".into()]
                } else {
                    vec!["Continue without it".into(), "Exit".into()]
                },
                selected: 0,
            }));
        }
        app
    }

    fn run(mut self) -> i32 {
        listen_to_keyboard(&self.shared);
        listen_to_signals(&self.shared);
        if self.source == "resume" {
            self.show_history();
        }
        if self.open.is_none() {
            self.start_session(self.source, true);
        }
        self.draw();
        loop {
            let event = match self.events.recv_timeout(self.next_deadline()) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return 1,
            };
            let ended = match event {
                Some(event) => self.handle(event),
                None => self.deadline_passed(),
            };
            if let Some(code) = ended {
                return code;
            }
            self.submit_queue();
            self.draw();
        }
    }

    fn next_deadline(&self) -> Duration {
        if self.keys.is_waiting() {
            return ESCAPE_SETTLES;
        }
        self.idle_at.map_or(Duration::from_secs(3600), |at| {
            at.saturating_duration_since(Instant::now())
        })
    }

    fn deadline_passed(&mut self) -> Option<i32> {
        if let Some(key) = self.keys.flush() {
            return self.key(key);
        }
        if self.idle_at.is_some_and(|at| at <= Instant::now()) {
            self.idle_at = None;
            let telling = Arc::clone(&self.shared);
            std::thread::spawn(move || {
                drop(telling.hook(&HookEvent::Notification {
                    message: "Claude is waiting for your input".into(),
                    kind: "idle_prompt".into(),
                }));
            });
        }
        None
    }

    /// SessionStart and the MCP servers, off the main loop. The first prompt waits for the hooks, not for the servers.
    fn start_session(&mut self, source: &str, with_model: bool) {
        let shared = Arc::clone(&self.shared);
        let source = source.to_owned();
        std::thread::spawn(move || {
            let common = shared.common();
            let connecting = Arc::clone(&shared);
            if source != "clear" && source != "compact" {
                std::thread::spawn(move || {
                    for (name, error) in connecting.servers().start_all(&common) {
                        connecting.print(format!("  ⎿ MCP server {name}: {error}"));
                    }
                });
            }
            let model = with_model.then(|| shared.model.clone());
            let title = shared.name.clone();
            drop(shared.hook(&HookEvent::SessionStart {
                source,
                model,
                title,
            }));
            shared.refresh_status_line();
            shared.send(Event::Started);
        });
    }

    fn show_history(&mut self) {
        for record in self.shared.state().transcript.records() {
            let content = &record["message"]["content"];
            let text = content
                .as_str()
                .or(content[0]["text"].as_str())
                .map(first_line);
            match (record["type"].as_str(), text) {
                (Some("user"), Some(text)) => self.lines.push(format!("> {text}")),
                (Some("assistant"), Some(text)) => self.lines.push(format!("● {text}")),
                _ => {}
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<i32> {
        match event {
            Event::Input(bytes) => {
                for key in self.keys.feed(&bytes) {
                    if let Some(code) = self.key(key) {
                        return Some(code);
                    }
                }
                None
            }
            // The terminal is gone, as with a SIGHUP; without one there never was a keyboard.
            Event::InputClosed => Some(self.end("other", 129)),
            Event::Signal(number) => Some(self.end("other", 128 + number)),
            Event::Started => {
                self.ready = true;
                None
            }
            Event::Print(line) => {
                self.lines.push(line);
                None
            }
            Event::Dialog(dialog) => {
                self.open = dialog.map(|(number, dialog)| Open::Turn(number, dialog));
                None
            }
            Event::StatusLine(text) => {
                self.footer = text;
                None
            }
            Event::Redraw => None,
            Event::BackgroundEnded(notification) => {
                self.queue.push(notification);
                None
            }
            Event::TurnEnded(end) => self.turn_ended(end),
        }
    }

    fn turn_ended(&mut self, end: TurnEnd) -> Option<i32> {
        self.busy = false;
        self.idle_at = Some(Instant::now() + super::milliseconds("FAKE_CLAUDE_IDLE_MS", 60_000));
        match end {
            TurnEnd::Done => None,
            TurnEnd::Interrupted(prompt) => {
                // No hook tells of an interrupt, so none tells that the session is idle, either.
                self.idle_at = None;
                if let Some(prompt) = prompt {
                    self.input.insert_str(0, &prompt);
                }
                None
            }
            TurnEnd::UsageLimit => {
                self.shared.set_status(&Status::Waiting("dialog open"));
                self.open = Some(Open::LimitMenu(Dialog {
                    title: "/rate-limit-options".into(),
                    lines: Vec::new(),
                    question: "What do you want to do?".into(),
                    options: vec![
                        "Stop and wait for limit to reset".into(),
                        "Upgrade your plan".into(),
                    ],
                    selected: 0,
                }));
                None
            }
            TurnEnd::Exit(code) => Some(self.end("other", code)),
        }
    }

    /// All queued prompts go together as soon as nothing runs.
    fn submit_queue(&mut self) {
        if !self.ready || self.busy || self.open.is_some() || self.queue.is_empty() {
            return;
        }
        let prompts = std::mem::take(&mut self.queue);
        self.busy = true;
        self.idle_at = None;
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let end = turn::run(&shared, prompts);
            shared.send(Event::TurnEnded(end));
        });
    }

    fn key(&mut self, key: Key) -> Option<i32> {
        if self.shared.control.is_deaf() {
            return None;
        }
        if self.open.is_some() {
            return self.dialog_key(&key);
        }
        let armed = std::mem::take(&mut self.exit_armed);
        match key {
            Key::Text(text) => self.input.push_str(&text),
            Key::Paste(text) => {
                self.input.push_str(&text);
                self.last_paste = Some(Instant::now());
            }
            Key::NewLine => self.input.push('\n'),
            Key::Backspace => drop(self.input.pop()),
            Key::ClearLine => {
                // One line at a time.
                let line = self.input.rfind('\n').unwrap_or(0);
                self.input.truncate(line);
            }
            Key::Enter => {
                let swallowed = self
                    .last_paste
                    .take()
                    .is_some_and(|at| at.elapsed() < PASTE_SWALLOWS_ENTER);
                if !swallowed {
                    return self.enter();
                }
            }
            Key::Escape if self.busy => self.shared.control.interrupt(),
            Key::CtrlC if self.busy => self.shared.control.interrupt(),
            Key::CtrlC if !self.input.is_empty() => self.input.clear(),
            Key::CtrlC | Key::CtrlD if armed => return Some(self.end("prompt_input_exit", 0)),
            Key::CtrlC | Key::CtrlD => {
                self.exit_armed = true;
                self.footer = "Press Ctrl-C again to exit".into();
            }
            Key::Escape | Key::Up | Key::Down => {}
        }
        None
    }

    fn enter(&mut self) -> Option<i32> {
        let prompt = std::mem::take(&mut self.input);
        match prompt.trim() {
            "" => {}
            "/exit" | "/quit" => return Some(self.end("prompt_input_exit", 0)),
            "/clear" => self.clear(),
            "/compact" => self.compact(),
            _ if self.busy => {
                self.shared
                    .state()
                    .transcript
                    .queue_operation("enqueue", &prompt);
                self.queue.extend(self.shared.control.inject(prompt));
            }
            _ => self.queue.push(prompt),
        }
        None
    }

    /// A new conversation in the same process.
    fn clear(&mut self) {
        drop(self.shared.hook(&HookEvent::SessionEnd {
            reason: "clear".into(),
        }));
        let id = uuid::Uuid::new_v4().to_string();
        let mut state = self.shared.state();
        state.transcript = Transcript::open(&self.shared.home, &self.shared.cwd, &id);
        state.registry.set_session(&id);
        state.session_id = id;
        state.prompt_id = None;
        state.last_usage = None;
        drop(state);
        self.lines.push("  ⎿ (no content)".into());
        self.ready = false;
        self.start_session("clear", false);
    }

    fn compact(&mut self) {
        let trigger = "manual".to_owned();
        drop(self.shared.hook(&HookEvent::PreCompact {
            trigger: trigger.clone(),
        }));
        drop(self.shared.hook(&HookEvent::PostCompact {
            trigger,
            summary: "OK".into(),
        }));
        self.lines
            .push("  ⎿ Compacted (ctrl+o to see full summary)".into());
        self.ready = false;
        self.start_session("compact", true);
    }

    /// Keys while a dialog is open: text and pastes are lost, Enter accepts what is selected.
    fn dialog_key(&mut self, key: &Key) -> Option<i32> {
        let Some(Open::Turn(_, dialog) | Open::Obstacle(dialog) | Open::LimitMenu(dialog)) =
            &mut self.open
        else {
            return None;
        };
        let last = dialog.options.len().saturating_sub(1);
        match key {
            Key::Up => dialog.selected = dialog.selected.saturating_sub(1),
            Key::Down => dialog.selected = (dialog.selected + 1).min(last),
            Key::Enter => {
                let chosen = dialog.selected;
                return self.answer(Answer::Option(chosen));
            }
            Key::Escape | Key::CtrlC => return self.answer(Answer::Dismissed),
            Key::Text(text) => {
                let digit = text
                    .parse::<usize>()
                    .ok()
                    .filter(|digit| (1..=last + 1).contains(digit));
                if let Some(digit) = digit {
                    return self.answer(Answer::Option(digit - 1));
                }
            }
            Key::Paste(_) | Key::NewLine | Key::Backspace | Key::ClearLine | Key::CtrlD => {}
        }
        None
    }

    fn answer(&mut self, answer: Answer) -> Option<i32> {
        match self.open.take()? {
            Open::Turn(number, _) => {
                self.shared.control.answer(number, answer);
            }
            Open::Obstacle(_) if answer == Answer::Option(0) => {
                self.start_session(self.source, true)
            }
            Open::Obstacle(_) => return Some(self.end("other", 1)),
            Open::LimitMenu(_) => self.shared.set_status(&Status::Idle),
        }
        None
    }

    fn draw(&mut self) {
        let dialog = self.open.as_ref().map(|open| match open {
            Open::Turn(_, dialog) | Open::Obstacle(dialog) | Open::LimitMenu(dialog) => {
                dialog.clone()
            }
        });
        let mode = match self.shared.permission_mode.as_str() {
            "acceptEdits" => "⏵⏵ accept edits on",
            "plan" => "⏸ plan mode on",
            "bypassPermissions" => "⏵⏵ bypass permissions on",
            _ => "? for shortcuts",
        };
        let mut footer = vec![mode.to_owned()];
        if !self.footer.is_empty() {
            footer.insert(0, self.footer.clone());
        }
        let bottom = Bottom {
            dialog,
            spinner: self
                .busy
                .then(|| "✻ Working… (esc to interrupt)".to_owned()),
            queued: if self.busy {
                self.queue.clone()
            } else {
                Vec::new()
            },
            input: self.input.clone(),
            footer,
        };
        let lines = std::mem::take(&mut self.lines);
        self.screen.draw(&lines, &bottom);
    }

    /// Ends the session and gives the terminal back.
    fn end(&mut self, reason: &str, code: i32) -> i32 {
        self.shared.control.interrupt();
        self.shared.end(reason);
        if let Ok(mut servers) = self.shared.servers.try_lock() {
            servers.stop_all();
        }
        let id = self.shared.state().session_id.clone();
        self.screen.close(&format!(
            "Resume this session with:\nclaude --resume {id}\n"
        ));
        code
    }
}

fn listen_to_keyboard(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let terminal = rustix::termios::isatty(std::io::stdin());
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match std::io::stdin().read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => shared.send(Event::Input(buffer[..count].to_vec())),
            }
        }
        if terminal {
            shared.send(Event::InputClosed);
        }
    });
}

fn listen_to_signals(shared: &Arc<Shared>) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
    let shared = Arc::clone(shared);
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGWINCH])
    else {
        return;
    };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGWINCH {
                Event::Redraw
            } else {
                Event::Signal(signal)
            };
            shared.send(event);
        }
    });
}
