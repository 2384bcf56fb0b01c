//! The configuration that keeps a repository from running programs of its own.
//!
//! Worktrees share `.git/config`, and an agent can write it. Whatever git would start on its word
//! is overridden through `GIT_CONFIG_COUNT`, which ranks above every file and, unlike `-c`, can
//! name any key. What the user set up globally or the system has is the user's own and is kept.
//!
//! Keys are found in the very directories that git will work in, because a repository, a linked
//! worktree and a repository inside it each have a configuration of their own. A program that is
//! named where another directory or a condition could bring it to life later, in an included file
//! or in a worktree's configuration, cannot be overridden for sure: then git is not run.

use std::collections::BTreeMap;

/// One configuration key with its value.
pub(super) type Setting = (String, String);

/// The keys looked at before each call that touches files or a remote.
pub(super) const LOOKED_AT: &str = r"^(filter\..*|remote\..*\.(uploadpack|vcs)|credential(\..*)?\.helper|core\.sshcommand|lfs\..*|hook\..*|include\.path|includeif\..*\.path)$";
/// The keys that lead to another file.
pub(super) const INCLUDES: &str = r"^(include\.path|includeif\..*\.path)$";

/// Overrides that every call gets.
const ALWAYS: &[(&str, &str)] = &[
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.alternateRefsCommand", "true"),
    ("core.editor", "true"),
    ("core.pager", "cat"),
    ("diff.external", ""),
    ("diff.submodule", "short"),
    ("protocol.ext.allow", "never"),
    ("safe.bareRepository", "explicit"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("status.showUntrackedFiles", "all"),
    ("submodule.recurse", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "20"),
    ("advice.detachedHead", "false"),
];

/// One line of `git config --show-scope`.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) scope: String,
    pub(super) key: String,
    pub(super) value: String,
}

impl Found {
    /// Whether the user or the system administrator wrote it, out of a repository's reach.
    pub(super) fn is_the_users(&self) -> bool {
        matches!(self.scope.as_str(), "global" | "system")
    }

    /// Whether it leads to another file.
    pub(super) fn is_include(&self) -> bool {
        self.key == "include.path"
            || (self.key.starts_with("includeif.") && self.key.ends_with(".path"))
    }

    /// Whether git starts a program on its word, under a name that only the configuration knows.
    pub(super) fn names_program(&self) -> bool {
        let ends = |ends: &[&str]| ends.iter().any(|end| self.key.ends_with(end));
        let starts = |start: &str| self.key.starts_with(start);
        !self.value.is_empty()
            && ((starts("filter.") && ends(&[".clean", ".smudge", ".process"]))
                || (starts("remote.") && ends(&[".uploadpack", ".receivepack", ".vcs"]))
                || (starts("credential.") && ends(&[".helper"]))
                || (starts("hook.") && ends(&[".command"]))
                || starts("lfs.customtransfer.")
                || starts("lfs.extension.")
                || self.key == "lfs.standalonetransferagent")
    }
}

/// Reads the answer to `git config --show-scope -z --get-regexp`. None if a key is not UTF-8:
/// it could not be overridden, so the caller must not go on.
pub(super) fn parse(answer: &[u8]) -> Option<Vec<Found>> {
    let mut fields = answer.split(|byte| *byte == 0);
    let mut found = Vec::new();
    while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
        let mut parts = entry.splitn(2, |byte| *byte == b'\n');
        let key = std::str::from_utf8(parts.next().unwrap_or_default()).ok()?;
        let value = String::from_utf8_lossy(parts.next().unwrap_or_default());
        found.push(Found {
            scope: String::from_utf8_lossy(scope).into_owned(),
            key: key.into(),
            value: value.into_owned(),
        });
    }
    Some(found)
}

/// What names a program where it cannot be overridden for sure: hooks of the configuration (git 2.54), which nothing switches
/// off, and the configuration of a worktree. What the user has in just these words, or allowed, is left out.
pub(super) fn refused<'a>(found: &'a [Found], allowed: &[Setting]) -> Vec<&'a Found> {
    found
        .iter()
        .filter(|setting| {
            !setting.is_the_users()
                && setting.names_program()
                && (setting.scope == "worktree"
                    || setting.scope == INCLUDED
                    || setting.key.starts_with("hook."))
                && !is_known(setting, found, allowed)
        })
        .collect()
}

/// The scope of what stands in a file that a repository's configuration includes, whether or not it does so here.
pub(super) const INCLUDED: &str = "included";

/// Whether the user has the same in a file of their own, or allowed it in just these words.
fn is_known(setting: &Found, found: &[Found], allowed: &[Setting]) -> bool {
    let same = |key: &str, value: &str| setting.key == key && setting.value == value;
    found
        .iter()
        .any(|other| other.is_the_users() && same(&other.key, &other.value))
        || allowed.iter().any(|(key, value)| same(key, value))
}

/// The names of a repository's filters that are emptied.
pub(super) fn emptied_filters(found: &[Found], allowed: &[Setting]) -> Vec<String> {
    let mut names: Vec<String> = filters(found, allowed)
        .into_iter()
        .filter(|(_, value)| value == "false")
        .filter_map(|(key, _)| {
            let name = key.strip_prefix("filter.")?.strip_suffix(".required")?;
            Some(name.to_owned())
        })
        .collect();
    names.dedup();
    names
}

/// All overrides for a repository with these settings.
pub(super) fn overrides(found: &[Found], allowed: &[Setting]) -> Vec<Setting> {
    let mut settings: Vec<Setting> = ALWAYS
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    settings.push(("core.sshCommand".into(), ssh_command(found)));
    settings.extend(filters(found, allowed));
    settings.extend(credential_helpers(found));
    for setting in found.iter().filter(|setting| !setting.is_the_users()) {
        if setting.key.starts_with("remote.") && setting.key.ends_with(".vcs") {
            settings.push((setting.key.clone(), String::new()));
        }
    }
    settings
}

/// Whether the repository names a program to fetch with. Of that key git takes the first value,
/// so it cannot be overridden: our own fetch names the program as an argument, and the fetch of
/// a missing object, which any call can start, must be switched off.
pub(super) fn names_fetch_program(found: &[Found]) -> bool {
    found.iter().any(|setting| {
        !setting.is_the_users()
            && setting.key.starts_with("remote.")
            && setting.key.ends_with(".uploadpack")
    })
}

/// The user's own ssh command or plain ssh, told never to ask and not to hang.
fn ssh_command(found: &[Found]) -> String {
    let own = found
        .iter()
        .rev()
        .find(|setting| setting.key == "core.sshcommand" && setting.is_the_users())
        .map_or("ssh", |setting| setting.value.as_str());
    format!("{own} -o BatchMode=yes -o ConnectTimeout=10")
}

/// Empties every filter that a repository defines or changes. LFS is kept where the user
/// installed it and the repository does not tamper with it, with its commands spelled out.
fn filters(found: &[Found], allowed: &[Setting]) -> Vec<Setting> {
    let mut by_name: BTreeMap<&str, bool> = BTreeMap::new();
    for setting in found {
        if let Some((name, _)) = setting
            .key
            .strip_prefix("filter.")
            .and_then(|k| k.rsplit_once('.'))
        {
            *by_name.entry(name).or_default() |= setting.names_program()
                && !setting.is_the_users()
                && !is_known(setting, found, allowed);
        }
    }
    let lfs_is_tampered_with = found.iter().any(|setting| {
        !setting.is_the_users()
            && [
                "lfs.customtransfer.",
                "lfs.standalonetransferagent",
                "lfs.extension.",
            ]
            .iter()
            .any(|prefix| setting.key.starts_with(prefix))
    });
    let lfs_is_installed = found
        .iter()
        .any(|setting| setting.key.starts_with("filter.lfs.") && setting.is_the_users());
    let mut settings = Vec::new();
    for (name, from_repository) in by_name {
        let mut set = |key: &str, value: &str| {
            settings.push((format!("filter.{name}.{key}"), value.to_owned()));
        };
        if name == "lfs" && lfs_is_installed && !lfs_is_tampered_with {
            set("clean", "git-lfs clean -- %f");
            set("smudge", "git-lfs smudge -- %f");
            set("process", "git-lfs filter-process");
        } else if from_repository || name == "lfs" {
            set("clean", "");
            set("smudge", "");
            set("process", "");
            set("required", "false");
        }
    }
    settings
}

/// Forgets all credential helpers, then names the user's own again.
fn credential_helpers(found: &[Found]) -> Vec<Setting> {
    let is_helper = |key: &str| key.starts_with("credential.") && key.ends_with(".helper");
    let helpers: Vec<&Found> = found
        .iter()
        .filter(|setting| is_helper(&setting.key))
        .collect();
    if helpers.iter().all(|setting| setting.is_the_users()) {
        return Vec::new();
    }
    std::iter::once(("credential.helper".to_owned(), String::new()))
        .chain(
            helpers
                .iter()
                .filter(|setting| setting.is_the_users())
                .map(|setting| (setting.key.clone(), setting.value.clone())),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str, &str)]) -> Vec<Setting> {
        let found: Vec<Found> = settings
            .iter()
            .map(|(scope, key, value)| Found {
                scope: (*scope).into(),
                key: (*key).into(),
                value: (*value).into(),
            })
            .collect();
        overrides(&found, &[])
    }

    fn value<'a>(settings: &'a [Setting], key: &str) -> Option<&'a str> {
        settings
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn repository_filters_go_whatever_their_name_and_the_users_own_stay() {
        let settings = of(&[
            ("local", "filter.a=b.c.clean", "evil"),
            ("global", "filter.mine.clean", "my-clean"),
            ("worktree", "filter.mine2.smudge", "evil"),
            ("global", "filter.mine2.clean", "my-clean"),
        ]);
        assert_eq!(value(&settings, "filter.a=b.c.clean"), Some(""));
        assert_eq!(value(&settings, "filter.a=b.c.required"), Some("false"));
        assert_eq!(value(&settings, "filter.mine.clean"), None);
        assert_eq!(value(&settings, "filter.mine2.process"), Some(""));
    }

    #[test]
    fn lfs_is_kept_only_as_the_user_installed_it() {
        let own = ("global", "filter.lfs.clean", "git-lfs clean -- %f");
        let planted = ("local", "filter.lfs.clean", "evil");
        let agent = ("local", "lfs.standalonetransferagent", "evil");
        assert_eq!(
            value(&of(&[own, planted]), "filter.lfs.clean"),
            Some("git-lfs clean -- %f")
        );
        assert_eq!(value(&of(&[planted]), "filter.lfs.clean"), Some(""));
        assert_eq!(value(&of(&[own, agent]), "filter.lfs.process"), Some(""));
    }

    #[test]
    fn ssh_and_credentials_come_from_the_user_alone() {
        let settings = of(&[
            ("global", "core.sshcommand", "ssh -i key"),
            ("local", "core.sshcommand", "evil"),
            ("global", "credential.https://h.helper", "store"),
            ("local", "credential.helper", "!evil"),
        ]);
        assert!(
            value(&settings, "core.sshCommand")
                .unwrap()
                .starts_with("ssh -i key -o BatchMode")
        );
        assert_eq!(value(&settings, "credential.helper"), Some(""));
        assert_eq!(
            value(&settings, "credential.https://h.helper"),
            Some("store")
        );
    }
}
