//! The plugin's thin outside: Zellij's events in, the library's effects out. Only here is Zellij's crate known.
//!
//! What the plugin asks of Zellij goes through that crate; what Zellij tells is read in [`claustre_plugin::zellij`].
//!
//! No host call is made before the permissions are granted: one that returns a value would end the instance.
//! Nothing is printed outside `render`: standard output also carries the host calls.

mod actions;
mod exports;
mod home;
mod link_io;

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use claustre_plugin::{
    effect::Effect,
    grant::Grant,
    link::{Identity, Link},
    model::Model,
    msg::Msg,
    presence::Typed,
    timers::{Purpose, Timers},
    zellij::event::{Event, PipeMessage, PipeSource},
};
use claustre_protocol::{
    link::{MESSAGE_SHOW, MESSAGE_TOGGLE},
    time::Timestamp,
};
use ratatui_core::buffer::Buffer;
use zellij_tile::prelude::*;

use home::Home;
use link_io::LINK_PURPOSE;

pub use exports::start;

/// Least milliseconds between two frames: 20 a second, the first of a burst at once.
const FRAME_MILLIS: u64 = 50;

/// Milliseconds after a change of size in which more changes of it are taken together.
const RESIZE_MILLIS: u64 = 200;

/// What the plugin may do in Zellij; `claustre setup` grants the same list beforehand.
const PERMISSIONS: [PermissionType; 9] = [
    PermissionType::ReadApplicationState,
    PermissionType::ChangeApplicationState,
    PermissionType::RunCommands,
    PermissionType::OpenTerminalsOrPlugins,
    PermissionType::WriteToStdin,
    PermissionType::ReadCliPipes,
    PermissionType::ReadPaneContents,
    PermissionType::RunActionsAsUser,
    PermissionType::WriteToClipboard,
];

/// What came before the permissions were granted, at most so much of it.
const EARLY_KEPT: usize = 256;

/// Seconds after loading in which the permissions are asked for once more while no answer came.
const REQUESTS: [f64; 5] = [0.2, 0.6, 2.0, 6.0, 20.0];

/// What came before the permissions were granted.
enum Early {
    Event(Event),
    Pipe(PipeMessage),
}

/// One instance of the plugin: one client's dashboard.
#[derive(Default)]
pub struct Shell {
    configuration: BTreeMap<String, String>,
    granted: bool,
    grant: Grant,
    early: VecDeque<Early>,
    started: Option<Instant>,
    ids: Identity,
    session: Option<String>,
    /// The user's shell; empty where Zellij does not say.
    shell: PathBuf,
    link: Link,
    model: Model,
    buffer: Buffer,
    text: String,
    size: (u16, u16),
    last_frame: Option<u64>,
    timers: Timers,
    home: Home,
    typed: Typed,
}

/// What Zellij calls.
impl Shell {
    fn load(&mut self, configuration: BTreeMap<String, String>) {
        self.configuration = configuration;
        self.started = Some(Instant::now());
        let ids = get_plugin_ids();
        self.ids = Identity {
            plugin_id: ids.plugin_id,
            client_id: ids.client_id,
            server_pid: ids.zellij_pid,
        };
        self.link = Link::new(self.ids);
        subscribe(&[
            EventType::Key,
            EventType::Mouse,
            EventType::PastedText,
            EventType::Timer,
            EventType::Visible,
            EventType::ModeUpdate,
            // Without these once, the key bindings come with every change of the mode.
            EventType::InitialKeybinds,
            EventType::PermissionRequestResult,
            EventType::PaneClosed,
            EventType::RunCommandResult,
            EventType::TabUpdate,
            // Which of several clients pressed our key is told in no other way.
            EventType::InputReceived,
        ]);
        request_permission(&PERMISSIONS);
        for seconds in REQUESTS {
            set_timeout(seconds);
        }
    }

    fn update(&mut self, event: Event) -> bool {
        if let Event::Permission(granted) = event {
            return self.permission(granted);
        }
        if !self.granted {
            self.not_granted(Early::Event(event));
            return false;
        }
        self.event(event);
        self.settle()
    }

    fn pipe(&mut self, message: PipeMessage) -> bool {
        if !self.granted {
            self.not_granted(Early::Pipe(message));
            return false;
        }
        self.message(message);
        self.settle()
    }

    fn render(&mut self, rows: u16, columns: u16) {
        let size = (columns, rows);
        if !self.granted {
            show("claustre waits for Zellij's permission (y)");
            return;
        }
        // Host calls are not possible once something was printed, so effects of the new size wait until after the frame.
        let mut effects = Vec::new();
        if size != self.size {
            self.size = size;
            if self.home.visible && !claustre_plugin::view::fits(columns, rows) {
                // The screen may have become too small for a margin.
                self.place_soon();
            }
            effects = claustre_plugin::update::update(
                &mut self.model,
                Msg::Resized {
                    columns: size.0,
                    rows: size.1,
                },
            );
        }
        for effect in effects {
            self.effect(effect);
        }
        self.arm();
        self.draw();
        self.last_frame = Some(self.now());
    }
}

impl Shell {
    /// Milliseconds since this instance was loaded.
    fn now(&self) -> u64 {
        self.started.map_or(0, |started| {
            u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Something came before the answer to our request. Zellij gives that answer to attached clients only, so that the
    /// instance of a session that was started in the background never gets it; what arrives here shows that no dialog is open,
    /// because Zellij keeps everything back while one is.
    fn not_granted(&mut self, early: Early) {
        let wanted = matches!(&early, Early::Pipe(message)
            if [MESSAGE_TOGGLE, MESSAGE_SHOW].contains(&message.name.as_str()));
        if self.early.len() >= EARLY_KEPT {
            self.early.pop_front();
        }
        if !matches!(early, Early::Event(Event::Timer)) {
            self.early.push_back(early);
        }
        if self.grant.asks_again(wanted, self.now()) {
            request_permission(&PERMISSIONS);
        }
    }

    fn permission(&mut self, granted: bool) -> bool {
        if !granted {
            self.grant.refused();
        }
        if granted && !self.granted {
            self.granted = true;
            self.step_back();
            self.timers.set(Purpose::Bootstrap, self.now());
            while let Some(early) = self.early.pop_front() {
                match early {
                    Early::Event(event) => self.event(event),
                    Early::Pipe(message) => self.message(message),
                }
            }
            self.run_due_timers();
            self.settle()
        } else {
            true
        }
    }

    fn message(&mut self, message: PipeMessage) {
        match (&message.source, message.name.as_str()) {
            (PipeSource::Cli(pipe), MESSAGE_SHOW) => {
                self.asked_to_show();
                unblock_cli_pipe_input(pipe);
            }
            (PipeSource::Cli(_), _) => {
                self.typed.explained();
                self.pipe_line(message);
            }
            (PipeSource::Keybind | PipeSource::Plugin, MESSAGE_TOGGLE) => self.toggle(),
            (PipeSource::Keybind | PipeSource::Plugin, _) => {}
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Timer => self.run_due_timers(),
            Event::Visible(_) => {
                self.look();
            }
            Event::Mode {
                session,
                shell,
                palette,
            } => {
                if let Some(name) = session.filter(|name| !name.is_empty()) {
                    self.session = Some(name);
                }
                if let Some(shell) = shell {
                    self.shell = PathBuf::from(shell);
                }
                self.tell(Msg::Theme(palette));
            }
            Event::PaneClosed(pane) => {
                let effects = self.link.pane_closed(pane);
                self.link_effects(effects);
            }
            // Tabs are told anew when clients come and go, too.
            Event::Tabs(tabs) => {
                self.home.tab = self.home.tab.filter(|home| tabs.contains(home));
                self.check_client();
                if self.home.visible && self.outgrown() {
                    self.place_soon();
                }
            }
            Event::Ran { purpose, output } => {
                if purpose.as_deref() == Some(LINK_PURPOSE) {
                    let effects = self.link.secret_is(&output, self.now());
                    self.link_effects(effects);
                }
            }
            Event::Typed => self.typed.typed(self.now()),
            Event::Key(key) => self.input(Msg::Key(key)),
            Event::Mouse(mouse) => self.input(Msg::Mouse(mouse)),
            Event::Pasted(text) => self.input(Msg::Pasted(text)),
            Event::Permission(_) | Event::Other => {}
        }
    }

    /// Only what is on the screen gets keys, however it came there.
    fn input(&mut self, msg: Msg) {
        self.typed.explained();
        self.on_screen(true);
        // Whoever typed sees it at once, even where an age was drawn a moment ago.
        self.last_frame = None;
        self.tell(msg);
    }

    /// Gives the dashboard a message and carries out what it wants.
    fn tell(&mut self, msg: Msg) {
        for effect in claustre_plugin::update::update(&mut self.model, msg) {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { id, request } => {
                let effects = self.link.ask(id, request);
                self.link_effects(effects);
            }
            Effect::Show => self.show(),
            Effect::Hide => self.hide(),
            Effect::Tick { millis } => self
                .timers
                .add(Purpose::Tick, self.now().saturating_add(millis)),
            Effect::OpenUrl(url) => actions::open_url(&url),
            Effect::Copy(text) => copy_to_clipboard(text),
        }
    }

    fn run_due_timers(&mut self) {
        let now = self.now();
        for purpose in self.timers.fired(now) {
            match purpose {
                // `settle` draws.
                Purpose::Frame => {}
                Purpose::Place => self.place(),
                Purpose::Look => {
                    self.look();
                }
                Purpose::Show => self.show_if_nobody_did(),
                Purpose::Toggle => self.toggle_if_nobody_did(),
                Purpose::Heartbeat => {
                    self.check_client();
                    let effects = self.link.tick(now);
                    self.link_effects(effects);
                }
                Purpose::Bootstrap => self.bootstrap(),
                Purpose::Tick => self.tell(Msg::Tick(wall_clock())),
            }
        }
    }

    /// Arms what must be armed and says whether a frame is due now.
    fn settle(&mut self) -> bool {
        let now = self.now();
        if let Some(wait) = self.link.next_tick(now) {
            self.timers
                .set(Purpose::Heartbeat, now.saturating_add(wait));
        }
        let mut draw = false;
        if self.model.needs_redraw() {
            let next = self
                .last_frame
                .map_or(now, |last| last.saturating_add(FRAME_MILLIS));
            draw = next <= now;
            if !draw {
                self.timers.set(Purpose::Frame, next);
            }
        }
        self.arm();
        draw
    }

    /// Gives the pane its size once the screen has stopped changing.
    fn place_soon(&mut self) {
        self.timers
            .set(Purpose::Place, self.now().saturating_add(RESIZE_MILLIS));
    }

    /// Has Zellij call for the next deadline.
    fn arm(&mut self) {
        if let Some(wait) = self.timers.to_arm(self.now()) {
            set_timeout(Duration::from_millis(wait).as_secs_f64());
        }
    }

    fn draw(&mut self) {
        use ratatui_core::layout::Rect;
        let area = Rect::new(0, 0, self.size.0, self.size.1);
        if self.buffer.area == area {
            self.buffer.reset();
        } else {
            self.buffer = Buffer::empty(area);
        }
        claustre_plugin::view::view(&self.model, &mut self.buffer);
        self.text.clear();
        claustre_plugin::ansi::encode(&self.buffer, &mut self.text);
        show(&self.text);
    }
}

/// Gives Zellij one frame. Flushed, because stdout keeps what does not end a line where the plugin brings its own
/// `_start` (the official one makes stdout unbuffered on its way out of `main`). Zellij has nowhere to hear of a
/// failure, and the next frame comes anyway.
fn show(frame: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(frame.as_bytes()).is_ok() {
        stdout.flush().ok();
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or_default())
}
