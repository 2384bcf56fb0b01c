//! The layouts that this program carries, and the tab of one session made from its pattern.

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

/// Starts Zellij with the dashboard.
pub const START: &str = include_str!("../../../../layouts/claustre.kdl");
/// The pattern of a session's tab.
pub const SESSION: &str = include_str!("../../../../layouts/session.kdl");

/// Stands for the launcher in the pattern.
const LAUNCHER: &str = "CLAUSTRE_LAUNCHER";
/// Name of the pane that holds a shell in the pattern.
const SHELL_PANE: &str = "shell";

/// The tab of a session: its launcher with these arguments, in this directory, with a shell beside it or not.
///
/// # Errors
/// The pattern is no KDL; a test sees that ours is.
pub fn session_tab(argv: &[String], cwd: &str, shell: bool) -> Result<String, kdl::KdlError> {
    let mut document: KdlDocument = SESSION.parse()?;
    for node in document.nodes_mut() {
        fill(node, argv, cwd, shell);
    }
    Ok(document.to_string())
}

fn fill(node: &mut KdlNode, argv: &[String], cwd: &str, shell: bool) {
    let is_launcher = property(node, "command").is_some_and(|command| command == LAUNCHER);
    if is_launcher {
        if let Some((program, arguments)) = argv.split_first() {
            set(node, "command", program);
            let mut children = KdlDocument::new();
            if !arguments.is_empty() {
                let mut args = KdlNode::new("args");
                for argument in arguments {
                    args.push(KdlEntry::new(argument.as_str()));
                }
                children.nodes_mut().push(args);
            }
            node.set_children(children);
        }
        set(node, "cwd", cwd);
    }
    if property(node, "name").is_some_and(|name| name == SHELL_PANE) {
        set(node, "cwd", cwd);
    }
    if let Some(children) = node.children_mut() {
        if !shell {
            children
                .nodes_mut()
                .retain(|child| property(child, "name").is_none_or(|name| name != SHELL_PANE));
        }
        for child in children.nodes_mut() {
            fill(child, argv, cwd, shell);
        }
    }
}

fn property(node: &KdlNode, name: &str) -> Option<String> {
    node.get(name)?.value().as_string().map(str::to_owned)
}

fn set(node: &mut KdlNode, name: &str, value: &str) {
    node.insert(name, KdlValue::String(value.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_filled_and_hostile_text_stays_text() {
        let argv = [
            "/opt/claustre".to_owned(),
            "session".to_owned(),
            "a\"b} pane command=\"rm".to_owned(),
        ];
        let tab = session_tab(&argv, "/w/it's \"here\"", true).unwrap();
        let document: KdlDocument = tab.parse().unwrap();
        assert!(
            !tab.contains(LAUNCHER) && tab.contains("name=\"shell\""),
            "{tab}"
        );
        let mut launchers = Vec::new();
        collect(document.nodes(), &mut launchers);
        assert_eq!(launchers.len(), 1, "{tab}");
        assert_eq!(property(&launchers[0], "cwd").unwrap(), "/w/it's \"here\"");
        let args = launchers[0].children().unwrap().get("args").unwrap();
        let args: Vec<_> = args
            .entries()
            .iter()
            .map(|entry| entry.value().as_string().unwrap())
            .collect();
        assert_eq!(args, [&argv[1], &argv[2]]);
    }

    #[test]
    fn the_shell_can_be_left_out() {
        assert!(
            !session_tab(&["claustre".to_owned()], "/w", false)
                .unwrap()
                .contains("name=\"shell\"")
        );
    }

    fn collect(nodes: &[KdlNode], found: &mut Vec<KdlNode>) {
        for node in nodes {
            if property(node, "command").is_some() {
                found.push(node.clone());
            }
            if let Some(children) = node.children() {
                collect(children.nodes(), found);
            }
        }
    }
}
