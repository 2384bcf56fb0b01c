//! Where the dashboard's own pane is, and getting it on and off the screen.
//!
//! Zellij tells neither of `hide_self` nor of being moved, so the instance keeps its own account. Its pane lies in one tab,
//! shown or not: to be shown where the user is, it has to be moved there, which only "launch or focus" does for a pane
//! that is off the screen. That call picks the wrong tab when the pane lies in the user's tab already (it takes the tab's
//! id for its place), and then the pane is simply shown.

use std::collections::BTreeMap;

use zellij_tile::prelude::*;
use zellij_utils::input::layout::RunPluginOrAlias;

use super::Shell;
use claustre_plugin::{msg::Msg, timers::Purpose};

/// The name under which `claustre setup` makes the plugin known.
const ALIAS: &str = "claustre";

/// Between showing the pane and giving it its size.
const PLACE_MILLIS: u64 = 30;

/// What is known of the dashboard's pane.
#[derive(Debug, Default)]
pub struct Home {
    /// Is it on the screen?
    pub visible: bool,
    /// The tab it lies in, where known.
    pub tab: Option<usize>,
}

impl Shell {
    /// The key binding: shows a hidden dashboard, focuses one that is in the background, hides one that has the focus.
    pub(super) fn toggle(&mut self) {
        let focused = get_focused_pane_info()
            .is_ok_and(|(_, pane)| pane == PaneId::Plugin(self.ids.plugin_id));
        if self.home.visible && focused {
            self.hide();
        } else {
            self.show();
        }
    }

    pub(super) fn show(&mut self) {
        let Ok((tab, _)) = get_focused_pane_info() else {
            return;
        };
        if self.home.tab.or_else(|| self.find_home()) == Some(tab) {
            show_self(true);
            self.place();
        } else if let Ok(plugin) = RunPluginOrAlias::from_url(ALIAS, &None, None, None) {
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
        self.on_screen(true);
    }

    /// Gives the pane most of the screen and its name. Zellij forgets both when the pane goes off the screen.
    pub(super) fn place(&self) {
        let own = PaneId::Plugin(self.ids.plugin_id);
        rename_plugin_pane(self.ids.plugin_id, "claustre");
        let text = |percent: &str| Some(percent.to_owned());
        let coordinates = FloatingPaneCoordinates::new(
            text("4%"),
            text("4%"),
            text("92%"),
            text("92%"),
            None,
            None,
        );
        if let Some(coordinates) = coordinates {
            change_floating_panes_coordinates(vec![(own, coordinates)]);
        }
    }

    pub(super) fn hide(&mut self) {
        hide_self();
        self.on_screen(false);
    }

    /// Zellij puts a plugin on the screen that it loads for a line of the daemon, as after the tab in which the dashboard
    /// lay was closed. Nobody asked for it, so it goes off the screen again; one that was asked for has the focus.
    pub(super) fn step_back(&mut self) {
        let own = PaneId::Plugin(self.ids.plugin_id);
        let on_screen = get_pane_info(own).is_some_and(|info| !info.is_suppressed);
        if on_screen {
            match get_focused_pane_info() {
                Ok((tab, pane)) if pane == own => {
                    self.home.tab = Some(tab);
                    self.on_screen(true);
                }
                Ok(_) | Err(_) => hide_self(),
            }
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

/// The tab of the first pane of this session that fits.
pub fn find_pane(fits: impl Fn(&PaneInfo) -> bool) -> Option<TabInfo> {
    let list = get_session_list().ok()?;
    let session = list
        .live_sessions
        .into_iter()
        .find(|session| session.is_current_session)?;
    let place = session
        .panes
        .panes
        .iter()
        .find(|(_, panes)| panes.iter().any(&fits))
        .map(|(place, _)| *place)?;
    session.tabs.into_iter().find(|tab| tab.position == place)
}
