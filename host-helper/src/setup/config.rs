//! Our nodes in the user's `config.kdl`: the alias, the start in the background, and the key. Everything else stays to the letter.

use kdl::{KdlDocument, KdlEntry, KdlNode};

use super::{SetupError, Targets, line_of, parse_kdl};

/// The alias of the plugin.
pub const ALIAS: &str = "claustre";
/// The end of the plugin's place, under whichever home.
const PLUGIN_FILE: &str = "/claustre.wasm";
/// In Zellij's own list of plugins that start in the background; a list of the user's takes its place.
const LINK_PLUGIN: &str = "zellij:link";

/// The configuration with the plugin in it.
///
/// # Errors
/// It cannot be read, or the key does something else in it.
pub fn with_claustre(text: &str, targets: &Targets) -> Result<String, SetupError> {
    let mut document = parse_kdl(text, &targets.config)?;
    if is_complete(&document, targets) {
        return Ok(text.to_owned());
    }
    if let Some(taken) = document
        .get("keybinds")
        .and_then(|keybinds| other_binding(keybinds, &targets.key))
    {
        return Err(SetupError::KeyTaken {
            key: targets.key.clone(),
            path: targets.config.clone(),
            line: line_of(text, taken.span().offset()),
        });
    }
    remove(&mut document);
    let location = quote(&format!("file:{}", targets.plugin.display()));
    let helper = quote(&targets.helper.display().to_string());
    let alias = format!("    {ALIAS} location={location} {{\n        helper {helper}\n    }}\n");
    add(&mut document, "plugins", &alias, targets)?;

    if document.get("load_plugins").is_none() {
        let link = format!("    \"{LINK_PLUGIN}\"\n");
        add(&mut document, "load_plugins", &link, targets)?;
    }
    add(
        &mut document,
        "load_plugins",
        &format!("    {ALIAS}\n"),
        targets,
    )?;

    let key = quote(&targets.key);
    // By its file: a server that runs already learns of new keys, but not of new aliases.
    let bind = format!(
        "        bind {key} {{ MessagePlugin {location} {{ name \"toggle\"; helper {helper}; }}; }}\n"
    );
    if document.get("keybinds").is_none() {
        add(&mut document, "keybinds", "", targets)?;
    }
    let mode = format!("    shared_except \"locked\" {{\n{bind}    }}\n");
    let keybinds = document.get_mut("keybinds").map(KdlNode::ensure_children);
    if let Some(keybinds) = keybinds {
        match keybinds.nodes_mut().iter_mut().find(|node| is_shared(node)) {
            Some(shared) => append(shared.ensure_children(), &bind, targets)?,
            None => append(keybinds, &mode, targets)?,
        }
    }
    let after = document.to_string();
    // Nothing is written that Zellij could not read.
    let check = parse_kdl(&after, &targets.config)?;
    if is_complete(&check, targets) {
        Ok(after)
    } else {
        Err(SetupError::Unreadable {
            path: targets.config.clone(),
            line: 1,
            why: "the plugin cannot be added to it; add it by hand as the README shows".to_owned(),
        })
    }
}

/// The configuration without the plugin.
///
/// # Errors
/// It cannot be read.
pub fn without_claustre(text: &str, targets: &Targets) -> Result<String, SetupError> {
    let mut document = parse_kdl(text, &targets.config)?;
    remove(&mut document);
    Ok(document.to_string())
}

fn is_complete(document: &KdlDocument, targets: &Targets) -> bool {
    faults(document, targets).is_empty()
}

/// What of ours is missing or otherwise than it is written, one each, in words that go behind the file's name.
pub(super) fn faults(document: &KdlDocument, targets: &Targets) -> Vec<String> {
    let child = |parent: &str, name: &str| document.get(parent)?.children()?.get(name).cloned();
    let mut faults = Vec::new();
    match child("plugins", ALIAS) {
        None => faults.push(format!("has no plugin {ALIAS}")),
        Some(node) => {
            let location = node
                .get("location")
                .and_then(|entry| entry.value().as_string())
                .unwrap_or_default();
            let wanted = format!("file:{}", targets.plugin.display());
            if location != wanted {
                faults.push(format!(
                    "has the plugin {ALIAS} at {location}, not {wanted}"
                ));
            }
            let helper = node
                .children()
                .and_then(|children| children.get_arg("helper"))
                .and_then(|value| value.as_string())
                .unwrap_or_default();
            let wanted = targets.helper.display().to_string();
            if helper != wanted {
                faults.push(format!("has the plugin call {helper}, not {wanted}"));
            }
        }
    }
    if child("load_plugins", ALIAS).is_none() {
        faults.push(format!("does not start {ALIAS} in load_plugins"));
    }
    let bindings = document
        .get("keybinds")
        .map(|node| bindings(node, &targets.key))
        .unwrap_or_default();
    if bindings.is_empty() {
        faults.push(format!("binds no key to the dashboard ({})", targets.key));
    } else if !bindings.iter().any(|bind| is_bound(bind, targets)) {
        let other = if bindings.iter().any(|bind| is_ours(bind)) {
            "a dashboard of another place, or one that calls another program"
        } else {
            "something else than the dashboard"
        };
        faults.push(format!("binds {} to {other}", targets.key));
    }
    faults
}

/// Takes our nodes out, wherever they are.
fn remove(document: &mut KdlDocument) {
    for parent in ["plugins", "load_plugins"] {
        if let Some(children) = document
            .get_mut(parent)
            .and_then(|node| node.children_mut().as_mut())
        {
            children
                .nodes_mut()
                .retain(|node| node.name().value() != ALIAS);
        }
    }
    if let Some(modes) = document
        .get_mut("keybinds")
        .and_then(|node| node.children_mut().as_mut())
    {
        for mode in modes.nodes_mut() {
            if let Some(binds) = mode.children_mut() {
                binds.nodes_mut().retain(|bind| !is_ours(bind));
            }
        }
    }
}

/// The mode in which the key works everywhere but while Zellij is locked.
fn is_shared(node: &KdlNode) -> bool {
    node.name().value() == "shared_except"
        && matches!(node.entries(), [only] if only.value().as_string() == Some("locked"))
}

/// All bindings of the key, in any mode.
fn bindings<'document>(keybinds: &'document KdlNode, key: &str) -> Vec<&'document KdlNode> {
    let modes = keybinds
        .children()
        .map(KdlDocument::nodes)
        .unwrap_or_default();
    modes
        .iter()
        .filter_map(KdlNode::children)
        .flat_map(KdlDocument::nodes)
        .filter(|bind| bind.name().value() == "bind")
        .filter(|bind| bind.entries().iter().any(|entry| same_key(entry, key)))
        .collect()
}

fn other_binding<'document>(keybinds: &'document KdlNode, key: &str) -> Option<&'document KdlNode> {
    bindings(keybinds, key)
        .into_iter()
        .find(|bind| !is_ours(bind))
}

fn same_key(entry: &KdlEntry, key: &str) -> bool {
    let spelled = |text: &str| {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        words.sort();
        words
    };
    entry
        .value()
        .as_string()
        .is_some_and(|text| spelled(text) == spelled(key))
}

/// By the alias, as older setups bound it, or by the file.
fn is_ours(bind: &KdlNode) -> bool {
    bind.name().value() == "bind"
        && told_plugin(bind).is_some_and(|plugin| {
            plugin == ALIAS || plugin.starts_with("file:") && plugin.ends_with(PLUGIN_FILE)
        })
}

/// Does the binding tell this build's plugin, which calls this program?
fn is_bound(bind: &KdlNode, targets: &Targets) -> bool {
    told_plugin(bind) == Some(&*format!("file:{}", targets.plugin.display()))
        && told_helper(bind) == Some(&*targets.helper.display().to_string())
}

/// The plugin that the binding sends a message to.
fn told_plugin(bind: &KdlNode) -> Option<&str> {
    bind.children()?.get_arg("MessagePlugin")?.as_string()
}

/// The helper that the binding gives the plugin.
fn told_helper(bind: &KdlNode) -> Option<&str> {
    let message = bind.children()?.get("MessagePlugin")?;
    message.children()?.get_arg("helper")?.as_string()
}

/// Adds to the children of a top node, which is made where there is none.
fn add(
    document: &mut KdlDocument,
    name: &str,
    children: &str,
    targets: &Targets,
) -> Result<(), SetupError> {
    if document.get(name).is_none() {
        let text = format!("{name} {{\n{children}}}\n");
        return append(document, &text, targets);
    }
    match document.get_mut(name) {
        Some(node) => append(node.ensure_children(), children, targets),
        None => Ok(()),
    }
}

/// Adds the nodes of the text behind the last one, on lines of their own.
fn append(document: &mut KdlDocument, text: &str, targets: &Targets) -> Result<(), SetupError> {
    let added = parse_kdl(text, &targets.config)?;
    match document.nodes_mut().last_mut() {
        Some(last) => {
            let trailing = last.trailing().unwrap_or_default();
            if !trailing.contains('\n') {
                let trailing = format!("{trailing}\n");
                last.set_trailing(trailing);
            }
        }
        None => {
            // What stands in a node without children (a comment, a line end) goes before the first.
            let inside = document.trailing().unwrap_or_default().to_owned();
            let leading = format!("{}{inside}", document.leading().unwrap_or_default());
            let leading = if leading.is_empty() || leading.contains('\n') {
                leading
            } else {
                format!("{leading}\n")
            };
            document.set_trailing("");
            document.set_leading(leading);
        }
    }
    document.nodes_mut().extend(added.nodes().iter().cloned());
    Ok(())
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
