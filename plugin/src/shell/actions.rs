//! What only Zellij can do, done for the daemon.
//!
//! Directories that begin with `/host`, `/data`, `/cache` or `/tmp` mean something else to Zellij's plugin calls, so none is
//! passed as it stands (see [`untranslated`]).

use std::{collections::BTreeMap, path::PathBuf};

use claustre_protocol::{
    base64,
    link::{ActionResult, MAX_READ, PaneAction},
};
use zellij_tile::prelude::*;

use super::{Shell, home::find_pane};

impl Shell {
    /// Does it, and says what came of it.
    pub(super) fn perform(&mut self, what: PaneAction) -> Result<ActionResult, String> {
        match what {
            PaneAction::OpenTab {
                name,
                argv,
                cwd,
                attached,
                shell,
                ..
            } => open_tab(
                name,
                &argv,
                &cwd,
                attached,
                shell.then(|| self.shell.clone()),
            ),
            PaneAction::AdoptPanes { panes } => adopt(panes),
            PaneAction::Focus { pane } => {
                exists(pane)?;
                if self.home.visible {
                    self.hide();
                }
                focus_pane_with_id(PaneId::Terminal(pane), false, false);
                Ok(ActionResult::Done {})
            }
            PaneAction::CloseTab { pane, name } => {
                // A pane that has no tab of its own yet, or was moved into one of the user's, takes no other with it.
                let own_tab = match get_pane_info(PaneId::Terminal(pane)) {
                    None => return Ok(ActionResult::Done {}),
                    Some(info) if info.is_suppressed => None,
                    Some(_) => Some(tab_of(pane)?).filter(|tab| tab.name.contains(&name)),
                };
                match own_tab {
                    Some(tab) => close_tab_with_id(tab_id(&tab)),
                    None => close_pane_with_id(PaneId::Terminal(pane)),
                }
                Ok(ActionResult::Done {})
            }
            PaneAction::RenameTab { pane, name } => {
                let tab = tab_of(pane)?;
                // Without its mark. A tab that is called otherwise was named by the user, or the pane has just left it and Zellij
                // lists it there still: the order comes again in a while.
                let plain = name.trim_start_matches(|c: char| !c.is_alphanumeric());
                if !tab.name.contains(plain) {
                    return Err(format!(
                        "naming the tab of pane {pane}: it has another name"
                    ));
                }
                rename_tab_with_id(tab_id(&tab), name);
                Ok(ActionResult::Done {})
            }
            PaneAction::Write { pane, bytes } => {
                let bytes = base64::decode(&bytes).map_err(|error| error.to_string())?;
                exists(pane)?;
                write_to_pane_id(bytes, PaneId::Terminal(pane));
                Ok(ActionResult::Done {})
            }
            PaneAction::Read { pane } => {
                let contents = get_pane_scrollback(PaneId::Terminal(pane), false)
                    .map_err(|error| format!("reading pane {pane}: {error}"))?;
                Ok(ActionResult::Text {
                    text: visible_text(&contents.viewport),
                })
            }
        }
    }
}

/// Opens an `https:` address with the desktop's browser.
pub fn open_url(url: &str) {
    if url.starts_with("https://") {
        // Whichever of the two there is: Linux has the first, macOS the second.
        for opener in ["xdg-open", "open"] {
            run_command(&[opener, url], BTreeMap::new());
        }
    }
}

/// The launcher starts in a pane off the screen, whose id comes back at once, and then gets a tab of its own. Making the tab
/// first would leave the pane's id open, and does not work while nobody is attached.
fn open_tab(
    name: String,
    argv: &[String],
    cwd: &str,
    attached: bool,
    shell: Option<PathBuf>,
) -> Result<ActionResult, String> {
    let (program, arguments) = argv
        .split_first()
        .ok_or("opening a tab: there is no program to start")?;
    let cwd = untranslated(cwd);
    let command = CommandToRun {
        path: PathBuf::from(program),
        args: arguments.to_vec(),
        cwd: Some(cwd.clone()),
    };
    let Some(PaneId::Terminal(pane)) = open_command_pane_background(command, BTreeMap::new())
    else {
        return Err(format!(
            "opening a tab for {program}: Zellij opened no pane"
        ));
    };
    if attached {
        let mut panes = vec![PaneId::Terminal(pane)];
        panes.extend(shell.and_then(|shell| {
            open_command_pane_background(shell_command(shell, cwd), BTreeMap::new())
        }));
        break_panes_to_new_tab(&panes, Some(name), false);
    }
    Ok(ActionResult::Pane { pane })
}

fn shell_command(shell: PathBuf, cwd: PathBuf) -> CommandToRun {
    if shell.as_os_str().is_empty() {
        // Zellij does not tell what its default is, but gives the variable to every pane.
        let args = vec!["-c".to_owned(), "exec \"${SHELL:-sh}\"".to_owned()];
        CommandToRun {
            path: PathBuf::from("sh"),
            args,
            cwd: Some(cwd),
        }
    } else {
        CommandToRun {
            path: shell,
            args: Vec::new(),
            cwd: Some(cwd),
        }
    }
}

/// A path that Zellij takes as it is: `/tmp/x` means its own directory there, `/../tmp/x` does not.
fn untranslated(path: &str) -> PathBuf {
    const TRANSLATED: [&str; 4] = ["/host", "/data", "/cache", "/tmp"];
    let path = PathBuf::from(path);
    if TRANSLATED.iter().any(|prefix| path.starts_with(prefix)) {
        let rest = path.strip_prefix("/").unwrap_or(&path);
        PathBuf::from("/..").join(rest)
    } else {
        path
    }
}

fn adopt(panes: Vec<(u32, String)>) -> Result<ActionResult, String> {
    let mut missing = Vec::new();
    for (pane, name) in panes {
        match get_pane_info(PaneId::Terminal(pane)) {
            // One that has its tab already was given it before. Without the dashboard it was opened beside others, in theirs.
            Some(info) if !info.is_suppressed && tab_of(pane)?.name.contains(&name) => {}
            Some(_) => {
                break_panes_to_new_tab(&[PaneId::Terminal(pane)], Some(name), false);
            }
            None => missing.push(pane.to_string()),
        }
    }
    if missing.is_empty() {
        Ok(ActionResult::Done {})
    } else {
        Err(format!(
            "giving panes their tabs: there is no pane {}",
            missing.join(", ")
        ))
    }
}

fn exists(pane: u32) -> Result<(), String> {
    match get_pane_info(PaneId::Terminal(pane)) {
        Some(_) => Ok(()),
        None => Err(format!("there is no pane {pane}")),
    }
}

/// The tab of a pane. The list may be a second old, so the tab itself is asked again.
fn tab_of(pane: u32) -> Result<TabInfo, String> {
    exists(pane)?;
    find_pane(|info| !info.is_plugin && info.id == pane)
        .and_then(|tab| get_tab_info(tab.tab_id))
        .ok_or_else(|| format!("finding the tab of pane {pane}: Zellij does not list it yet"))
}

fn tab_id(tab: &TabInfo) -> u64 {
    u64::try_from(tab.tab_id).unwrap_or(u64::MAX)
}

/// The lines as one text of bounded length, without what is empty at their ends.
fn visible_text(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        if text.len() + line.len() + 1 > MAX_READ {
            break;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}
