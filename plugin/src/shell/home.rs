//! Where the dashboard's own pane is, and getting it on and off the screen.
//!
//! Zellij tells neither of `hide_self` nor of being moved, and the instance of another client may do both, so whether the
//! dashboard is on the screen is asked for: whenever something may have changed it, and with every heartbeat. Its pane lies
//! in one tab, shown or not: to be shown where the user is, it has to be moved there, which only "launch or focus" does for
//! a pane that is off the screen. That call picks the wrong tab when the pane lies in the user's tab already (it takes the
//! tab's id for its place), and then the pane is simply shown.

use std::{collections::BTreeMap, path::PathBuf};

use zellij_tile::prelude::*;
use zellij_utils::input::layout::{
    PluginAlias, PluginUserConfiguration, RunPlugin, RunPluginLocation, RunPluginOrAlias,
};

use super::Shell;
use claustre_plugin::{
    msg::Msg,
    presence::{Pressed, Seen, Toggle, joins_others},
    timers::Purpose,
};

/// The name under which `claustre setup` makes the plugin known.
pub const ALIAS: &str = "claustre";

/// Between showing the pane and giving it its size.
const PLACE_MILLIS: u64 = 30;
/// Until what another client's instance did can be seen.
const LOOK_MILLIS: u64 = 100;
/// Until it is clear that no instance took a key for its own; before, those look whose client may have pressed it.
const WAIT_MILLIS: u64 = 250;
/// See [`WAIT_MILLIS`].
const CLAIM_WAIT_MILLIS: u64 = 100;

/// What is known of the dashboard's pane.
#[derive(Debug, Default)]
pub struct Home {
    /// Is it on the screen?
    pub visible: bool,
    /// The tab it lies in, where known.
    pub tab: Option<usize>,
    /// Columns and rows of the screen of which it was given the whole, because that is small.
    pub fills: Option<(usize, usize)>,
    /// The key that may have been another client's.
    pub pressed: Option<Pressed>,
    /// May it have been our client's?
    pub claims: bool,
    /// What was seen at the last look.
    pub known: Seen,
}

impl Shell {
    /// The key binding, of whichever client: shows a dashboard that is hidden or in the background, hides one that has
    /// the focus.
    pub(super) fn toggle(&mut self) {
        let (seen, now) = (self.seen(), self.now());
        match self.typed.toggle(self.ids.client_id, seen, now) {
            Toggle::Show => self.show(),
            Toggle::Hide => self.hide(),
            Toggle::Look => self.others_act(),
            Toggle::Wait { claims } => {
                self.others_act();
                self.home.pressed = Some(Pressed {
                    known: self.home.known,
                    seen,
                    at: now,
                });
                self.home.claims = claims;
                let wait = self.wait_for_others();
                self.timers.set(Purpose::Toggle, now.saturating_add(wait));
            }
        }
    }

    /// Milliseconds in which somebody with a better right to a key acts on it.
    fn wait_for_others(&self) -> u64 {
        if self.home.claims {
            CLAIM_WAIT_MILLIS
        } else {
            WAIT_MILLIS
        }
    }

    /// Acts on the key after all, where our client may have pressed it or we lead, and nobody did. Where no daemon says who leads, every instance may: what each
    /// does, another may do again without harm.
    pub(super) fn toggle_if_nobody_did(&mut self) {
        let Some(pressed) = self.home.pressed.take() else {
            return;
        };
        let due = pressed.at.saturating_add(self.wait_for_others());
        if self.now() < due {
            // Pressed once more since this look was planned.
            self.home.pressed = Some(pressed);
            self.timers.set(Purpose::Toggle, due);
            return;
        }
        let may = self.home.claims || self.link.is_leader() || !self.link.is_up();
        if may && pressed.is_unanswered(self.look(), self.now()) {
            if pressed.seen.focused {
                self.hide();
            } else {
                self.show();
            }
        }
    }

    /// `claustre` asks every instance to show the dashboard; the one whose client typed it does, else the one that leads.
    pub(super) fn asked_to_show(&mut self) {
        let now = self.now();
        if self.typed.commanded(now) {
            if self.seen().tab.is_some() {
                self.show();
            }
        } else {
            self.others_act();
            self.timers
                .set(Purpose::Show, now.saturating_add(LOOK_MILLIS));
        }
    }

    /// Shows it after all, where we lead and it is still nowhere to be seen.
    pub(super) fn show_if_nobody_did(&mut self) {
        if self.link.is_leader() && !self.look().visible() {
            self.show();
        }
    }

    /// Another instance shows, hides or moves the pane that is ours as well.
    fn others_act(&mut self) {
        self.home.tab = None;
        self.look_soon();
    }

    /// We showed it or hid it ourselves.
    fn did(&mut self, show: bool) {
        self.home.known.focused = show;
        self.home.known.suppressed = !show;
        self.on_screen(show);
        self.look_soon();
    }

    /// What was done to the pane can be seen in a moment.
    fn look_soon(&mut self) {
        self.timers
            .set(Purpose::Look, self.now().saturating_add(LOOK_MILLIS));
    }

    pub(super) fn show(&mut self) {
        let Ok((tab, _)) = get_focused_pane_info() else {
            return;
        };
        if self.home.tab.or_else(|| self.find_home()) == Some(tab) {
            show_self(true);
            self.place();
        } else {
            let plugin = self.itself();
            let action = actions::Action::LaunchOrFocusPlugin {
                plugin,
                should_float: true,
                move_to_focused_tab: true,
                should_open_in_place: false,
                close_replaced_pane: false,
                skip_cache: false,
                tab_id: None,
            };
            run_action(action, BTreeMap::new());
            // Only a pane that is on the screen can be given a size, and this one gets there in a moment.
            self.timers
                .set(Purpose::Place, self.now().saturating_add(PLACE_MILLIS));
        }
        self.home.tab = Some(tab);
        self.did(true);
    }

    /// What Zellij has us from: our alias, or our file where the server started before it could know the alias.
    pub(super) fn address(&self) -> String {
        get_pane_info(PaneId::Plugin(self.ids.plugin_id))
            .and_then(|pane| pane.plugin_url)
            .unwrap_or_else(|| ALIAS.to_owned())
    }

    /// The plugin as Zellij has to be told of it to mean the one that runs. (Its own reading of an address brings a
    /// reader of all URLs with it.)
    fn itself(&self) -> RunPluginOrAlias {
        let address = self.address();
        let Some(path) = address.strip_prefix("file:") else {
            return RunPluginOrAlias::Alias(PluginAlias {
                name: address,
                ..PluginAlias::default()
            });
        };
        RunPluginOrAlias::RunPlugin(RunPlugin {
            location: RunPluginLocation::File(PathBuf::from(path)),
            configuration: PluginUserConfiguration::new(self.configuration.clone()),
            ..RunPlugin::default()
        })
    }

    /// Gives the pane most of the screen and its name. Zellij forgets both when the pane goes off the screen.
    pub(super) fn place(&mut self) {
        let own = PaneId::Plugin(self.ids.plugin_id);
        rename_plugin_pane(self.ids.plugin_id, "claustre");
        self.home.fills = self.screen().filter(|size| is_small(*size));
        let (edge, length) = if self.home.fills.is_some() {
            ("0%", "100%")
        } else {
            ("4%", "92%")
        };
        let text = |percent: &str| Some(percent.to_owned());
        let coordinates = FloatingPaneCoordinates::new(
            text(edge),
            text(edge),
            text(length),
            text(length),
            None,
            None,
        );
        if let Some(coordinates) = coordinates {
            change_floating_panes_coordinates(vec![(own, coordinates)]);
        }
    }

    /// Columns and rows that the dashboard's tab has for its panes.
    fn screen(&self) -> Option<(usize, usize)> {
        let tab = self.home.tab.and_then(get_tab_info)?;
        Some((tab.display_area_columns, tab.display_area_rows))
    }

    /// Has a small screen changed its size? Zellij makes a floating pane smaller with the screen, but never larger.
    pub(super) fn outgrown(&self) -> bool {
        self.home.fills.is_some()
            && self
                .screen()
                .is_some_and(|size| Some(size) != self.home.fills)
    }

    pub(super) fn hide(&mut self) {
        hide_self();
        self.did(false);
    }

    /// Zellij puts a plugin on the screen that it loads for a line of the daemon, as after the tab in which the dashboard
    /// lay was closed. Nobody asked for it, so it goes off the screen again; one that was asked for has the focus, and one
    /// that was there before us is another client's.
    pub(super) fn step_back(&mut self) {
        let seen = self.look();
        if seen.focused {
            self.home.tab = seen.tab;
        } else if !seen.suppressed && !joins_others(self.ids.client_id) {
            self.hide();
        }
    }

    /// Asks Zellij where the dashboard is, and takes note.
    pub(super) fn look(&mut self) -> Seen {
        let seen = self.seen();
        self.home.known = seen;
        self.on_screen(seen.visible());
        seen
    }

    fn seen(&self) -> Seen {
        let own = PaneId::Plugin(self.ids.plugin_id);
        let Ok((tab, pane)) = get_focused_pane_info() else {
            // Its client is not attached, and nothing else matters.
            return Seen {
                suppressed: get_pane_info(own).is_none_or(|info| info.is_suppressed),
                ..Seen::default()
            };
        };
        let focused = pane == own;
        let suppressed = !focused && get_pane_info(own).is_none_or(|info| info.is_suppressed);
        let floating = !focused
            && !suppressed
            && get_tab_info(tab).is_none_or(|tab| tab.are_floating_panes_visible);
        Seen {
            focused,
            tab: Some(tab),
            suppressed,
            floating,
        }
    }

    /// Takes note that the dashboard came on the screen or left it.
    pub(super) fn on_screen(&mut self, visible: bool) {
        if self.home.visible == visible {
            return;
        }
        self.home.visible = visible;
        self.tell(Msg::Visible(visible));
        let effects = self.link.visible_is(visible, self.now());
        self.link_effects(effects);
    }

    /// The tab of our own pane, from the list of everything; only needed until the dashboard was shown once.
    fn find_home(&self) -> Option<usize> {
        let own = self.ids.plugin_id;
        self::find_pane(|pane| pane.is_plugin && pane.id == own).map(|tab| tab.tab_id)
    }
}

/// Does every cell count?
const fn is_small((columns, rows): (usize, usize)) -> bool {
    columns < 80 || rows < 26
}

/// The tab of the first pane of this session that fits.
pub fn find_pane(fits: impl Fn(&PaneInfo) -> bool) -> Option<TabInfo> {
    let session = own_session()?;
    let place = session
        .panes
        .panes
        .iter()
        .find(|(_, panes)| panes.iter().any(&fits))
        .map(|(place, _)| *place)?;
    session.tabs.into_iter().find(|tab| tab.position == place)
}

fn own_session() -> Option<SessionInfo> {
    get_session_list()
        .ok()?
        .live_sessions
        .into_iter()
        .find(|session| session.is_current_session)
}
