//! The plugin's entry in Zellij's `permissions.kdl`. Zellij rewrites whole entries itself; so do we, and leave others alone.

use kdl::{KdlDocument, KdlIdentifier, KdlNode};

use super::{SetupError, Targets, parse_kdl};

/// What the plugin asks for; the same list stands in its `shell`.
pub const PERMISSIONS: [&str; 9] = [
    "ReadApplicationState",
    "ChangeApplicationState",
    "RunCommands",
    "OpenTerminalsOrPlugins",
    "WriteToStdin",
    "ReadCliPipes",
    "ReadPaneContents",
    "RunActionsAsUser",
    "WriteToClipboard",
];

/// The file with all that the plugin asks for.
///
/// # Errors
/// The file is no KDL.
pub fn granted(text: &str, targets: &Targets) -> Result<String, SetupError> {
    let mut document = without(text, targets)?;
    let mut node = KdlNode::new(quoted(&targets.plugin.display().to_string()));
    node.set_before_children(" ");
    let mut children = KdlDocument::new();
    for permission in PERMISSIONS {
        let mut child = KdlNode::new(permission);
        child.set_leading("    ");
        child.set_trailing("\n");
        children.nodes_mut().push(child);
    }
    children.set_leading("\n");
    node.set_children(children);
    node.set_trailing("\n");
    document.nodes_mut().push(node);
    let after = document.to_string();
    // What is in place already is not written in another spelling.
    let same = parse_kdl(text, &targets.permissions).is_ok_and(|present| holds(&present, targets));
    Ok(if same { text.to_owned() } else { after })
}

/// The file without the plugin's entry.
///
/// # Errors
/// The file is no KDL.
pub fn revoked(text: &str, targets: &Targets) -> Result<String, SetupError> {
    Ok(without(text, targets)?.to_string())
}

fn without(text: &str, targets: &Targets) -> Result<KdlDocument, SetupError> {
    let mut document = parse_kdl(text, &targets.permissions)?;
    let plugin = targets.plugin.display().to_string();
    document
        .nodes_mut()
        .retain(|node| node.name().value() != plugin);
    Ok(document)
}

fn holds(document: &KdlDocument, targets: &Targets) -> bool {
    withheld(document, targets).is_empty()
}

/// What the plugin asks for and the file does not let it do.
pub(super) fn withheld(document: &KdlDocument, targets: &Targets) -> Vec<&'static str> {
    let plugin = targets.plugin.display().to_string();
    let granted = document.get(&plugin).and_then(KdlNode::children);
    PERMISSIONS
        .into_iter()
        .filter(|permission| granted.is_none_or(|granted| granted.get(permission).is_none()))
        .collect()
}

fn quoted(name: &str) -> KdlIdentifier {
    let mut identifier = KdlIdentifier::from(name);
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    identifier.set_repr(format!("\"{escaped}\""));
    identifier
}
