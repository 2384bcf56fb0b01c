//! Imports go one way, and each large dependency is known to one module.
//!
//! `protocol <- domain <- {ports <- engine, store, adapters} <- {server, cli} <- daemon`, and `protocol <- plugin`.

use crate::tidy::imports::Import;
use crate::tidy::source::Source;
use crate::tidy::{File, Finding};

/// A module of the helper and the modules of the helper that it must not name.
struct Layer {
    module: &'static str,
    forbidden: &'static [&'static str],
    why: &'static str,
}

const LAYERS: [Layer; 6] = [
    Layer {
        module: "ports",
        forbidden: &["adapters", "engine", "store", "server", "cli", "daemon"],
        why: "ports are what the others agree on, and know none of them",
    },
    Layer {
        module: "adapters",
        forbidden: &["engine", "store", "server", "cli", "daemon"],
        why: "adapters know the outside and the ports, nothing of the helper's own business",
    },
    Layer {
        module: "store",
        forbidden: &["adapters", "server", "cli", "daemon"],
        why: "the store knows nothing of the world outside its database",
    },
    Layer {
        module: "engine",
        forbidden: &["adapters", "server", "cli", "daemon"],
        why: "the engine reaches the world through ports",
    },
    Layer {
        module: "server",
        forbidden: &["adapters", "daemon"],
        why: "only daemon.rs puts adapters in; a server submits commands to the engine",
    },
    Layer {
        module: "cli",
        forbidden: &["adapters"],
        why: "only daemon.rs puts adapters in; the command line talks to the daemon",
    },
];

/// A dependency and the only places that may name it.
struct Keeper {
    dependency: &'static str,
    /// Files, and directories that end in `/`.
    places: &'static [&'static str],
    why: &'static str,
}

const KEEPERS: [Keeper; 3] = [
    Keeper {
        dependency: "rusqlite",
        // The benchmarks measure SQLite itself as their floor; the simulation makes it fail.
        places: &[
            "host-helper/src/store.rs",
            "host-helper/src/store/",
            "host-helper/benches/",
            "host-helper/tests/sim/",
            "tests/src/bench/",
        ],
        why: "only the store knows SQLite",
    },
    Keeper {
        dependency: "rmcp",
        places: &[
            "host-helper/src/server/mcp.rs",
            "host-helper/src/server/mcp/",
        ],
        why: "only server/mcp knows the MCP library",
    },
    Keeper {
        dependency: "zellij_tile",
        places: &[
            "plugin/src/main.rs",
            "plugin/src/shell.rs",
            "plugin/src/shell/",
        ],
        why: "only the shell of the plugin knows Zellij; the rest is pure",
    },
];

/// What the domain must not name: it is pure.
const IMPURE: [&[&str]; 9] = [
    &["std", "fs"],
    &["std", "net"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["tokio"],
    &["getrandom"],
];

/// Checks one Rust file. Tests may look where they like.
pub fn check(source: &Source) -> Vec<Finding> {
    if source.is_test || source.path.starts_with("xtask/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for import in &source.imports {
        if let Some(reason) = reason(source.path, import) {
            findings.push(Finding::error(source.path, import.line, reason));
        }
    }
    findings
}

fn reason(path: &str, import: &Import) -> Option<String> {
    let first = import.path.first()?;
    let named = import.path.join("::");
    if (path.starts_with("protocol/") || path.starts_with("plugin/")) && first == "claustre_domain"
    {
        return Some(format!(
            "{named}: protocol and plugin know only the protocol, never the domain"
        ));
    }
    if path.starts_with("host-helper/domain/")
        && IMPURE.iter().any(|names| import.starts_with(names))
    {
        return Some(format!(
            "{named}: the domain is pure, without IO, clock or randomness"
        ));
    }
    if let Some(keeper) = KEEPERS.iter().find(|keeper| keeper.dependency == first)
        && !keeper
            .places
            .iter()
            .any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
    {
        return Some(format!("{named}: {}", keeper.why));
    }
    let module = helper_module(path)?;
    let target = top_module(&module, import)?;
    let layer = LAYERS
        .iter()
        .find(|layer| Some(layer.module) == module.first().map(String::as_str))?;
    // The command that runs the daemon starts the composition root.
    if path.ends_with("/daemon.rs") {
        return None;
    }
    layer.forbidden.contains(&target.as_str()).then(|| {
        format!(
            "{named}: {} must not import {target}, because {}",
            layer.module, layer.why
        )
    })
}

/// The module path of a file of the helper: `host-helper/src/store/events.rs` is `store::events`.
fn helper_module(path: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix("host-helper/src/")?.strip_suffix(".rs")?;
    let mut names: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    Some(names)
}

/// The top-level module of the helper that an import in `module` leads to.
fn top_module(module: &[String], import: &Import) -> Option<String> {
    let first = import.path.first()?;
    if first == "crate" || first == "claustre" {
        return import.path.get(1).cloned();
    }
    let up = import
        .path
        .iter()
        .take_while(|name| *name == "super")
        .count();
    // Inside a module of its own, `super` may lead less far up; that reads as a place nearer to the root.
    let left = module.get(..module.len().checked_sub(up)?)?;
    if up > 0 && left.is_empty() {
        import.path.get(up).cloned()
    } else {
        None
    }
}

/// Checks the manifests: what is no dependency cannot be imported.
pub fn check_manifests(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| {
        matches!(
            file.path.as_str(),
            "protocol/Cargo.toml" | "plugin/Cargo.toml"
        )
    }) {
        for (number, line) in (1..).zip(file.text.as_deref().unwrap_or_default().lines()) {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if matches!(name, "claustre-domain" | "claustre") {
                let reason = format!("{name}: protocol and plugin depend on the protocol only");
                findings.push(Finding::error(&file.path, number, reason));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::found_lines;

    fn check_text(path: &str, text: &str) -> Vec<usize> {
        found_lines(check, path, text)
    }

    #[test]
    fn the_plugin_and_the_protocol_do_not_know_the_domain() {
        let text = "use claustre_protocol::Status;\nuse claustre_domain::task::Task;\n";
        assert_eq!(check_text("plugin/src/model.rs", text), [2]);
        assert_eq!(check_text("protocol/src/link.rs", text), [2]);
        assert_eq!(check_text("host-helper/src/engine/writer.rs", text), [0; 0]);
        let manifest = File::new(
            "plugin/Cargo.toml",
            "[dependencies]\nclaustre-domain.workspace = true\nclaustre-protocol = 1\n",
        );
        assert_eq!(check_manifests(&[manifest]).len(), 1);
    }

    #[test]
    fn adapters_know_nothing_above_the_ports() {
        let text = "use crate::{ports::Git, store::Store};\nuse crate::adapters::process;\nuse super::super::engine;\n";
        assert_eq!(check_text("host-helper/src/adapters/git.rs", text), [1, 3]);
        assert_eq!(
            check_text("host-helper/src/adapters/git/mod.rs", text),
            [1, 3]
        );
        // One level deeper, the same `super`s stay inside the adapters.
        assert_eq!(
            check_text("host-helper/src/adapters/git/refs.rs", text),
            [1]
        );
    }

    #[test]
    fn only_the_daemon_puts_adapters_in() {
        let text = "use crate::adapters::Zellij;\n";
        for path in [
            "server/web/mod.rs",
            "cli/task.rs",
            "store/mod.rs",
            "engine/outbox.rs",
            "ports.rs",
        ] {
            assert_eq!(
                check_text(&format!("host-helper/src/{path}"), text),
                [1],
                "{path}"
            );
        }
        for path in [
            "daemon.rs",
            "cli/daemon.rs",
            "main.rs",
            "lib.rs",
            "adapters/tmux.rs",
        ] {
            assert_eq!(
                check_text(&format!("host-helper/src/{path}"), text),
                [0; 0],
                "{path}"
            );
        }
    }

    #[test]
    fn each_large_dependency_has_one_keeper() {
        assert_eq!(
            check_text(
                "host-helper/src/store/events.rs",
                "use rusqlite::Connection;"
            ),
            [0; 0]
        );
        assert_eq!(
            check_text(
                "host-helper/src/engine/writer.rs",
                "use rusqlite::Connection;"
            ),
            [1]
        );
        assert_eq!(
            check_text("host-helper/src/server/mcp/tools.rs", "use rmcp::tool;"),
            [0; 0]
        );
        assert_eq!(
            check_text("host-helper/src/server/socket.rs", "use rmcp::tool;"),
            [1]
        );
        assert_eq!(
            check_text("plugin/src/shell/mod.rs", "use zellij_tile::prelude::*;\n"),
            [0; 0]
        );
        assert_eq!(
            check_text(
                "plugin/src/view/mod.rs",
                "use zellij_tile::prelude::Event;\n"
            ),
            [1]
        );
    }

    #[test]
    fn the_domain_is_pure() {
        let text = "use std::time::Duration;\nuse std::time::{Duration, Instant};\nfn a() { std::fs::read(b) }\n";
        assert_eq!(
            check_text("host-helper/domain/src/task/mod.rs", text),
            [2, 3]
        );
        assert_eq!(
            check_text("host-helper/src/adapters/clock.rs", text),
            [0; 0]
        );
    }

    #[test]
    fn tests_and_comments_may_name_everything() {
        let text = "//! Not `crate::adapters`.\n#[cfg(test)]\nmod tests {\n    use crate::adapters::Clock;\n}\n";
        assert_eq!(check_text("host-helper/src/store/mod.rs", text), [0; 0]);
        assert_eq!(
            check_text(
                "host-helper/src/store/tests.rs",
                "use crate::adapters::Clock;"
            ),
            [0; 0]
        );
    }
}
