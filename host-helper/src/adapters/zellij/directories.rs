//! Where Zellij looks for its configuration, as `zellij setup --check` tells.

use std::path::PathBuf;

/// Where Zellij looks for its configuration and keeps its permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Holds `config.kdl` and `layouts/`.
    pub config: PathBuf,
    /// The configuration itself.
    pub config_file: PathBuf,
    /// Holds `permissions.kdl`.
    pub cache: PathBuf,
}

impl Directories {
    pub(super) fn parse(said: &str) -> Option<Self> {
        let find = |key: &str| {
            let line = said
                .lines()
                .find_map(|line| line.trim().strip_prefix(key))?;
            let path = line.trim().trim_matches('"');
            path.starts_with('/').then(|| PathBuf::from(path))
        };
        // A Zellij that was never configured names the places it would look in, its first choice first.
        let config = find("[CONFIG DIR]:").or_else(|| {
            said.lines()
                .skip_while(|line| !line.starts_with("[CONFIG DIR]:"))
                .map(|line| line.trim().trim_matches('"'))
                .find(|line| line.starts_with('/'))
                .map(PathBuf::from)
        })?;
        Some(Self {
            config_file: find("[LOOKING FOR CONFIG FILE FROM]:")
                .unwrap_or_else(|| config.join("config.kdl")),
            config,
            cache: find("[CACHE DIR]:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_are_read_from_setup_check() {
        let said = "[Version]: \"0.45.1\"\n[CONFIG DIR]: \"/h/.config/zellij\"\n[LOOKING FOR CONFIG FILE FROM]: \"/h/.config/zellij/config.kdl\"\n\
                    [CACHE DIR]: /h/.cache/zellij\n";
        let directories = Directories::parse(said).unwrap();
        assert_eq!(
            directories.config_file,
            PathBuf::from("/h/.config/zellij/config.kdl")
        );
        assert_eq!(directories.cache, PathBuf::from("/h/.cache/zellij"));
        assert_eq!(Directories::parse("[CONFIG DIR]: Not Found\n"), None);
        let unconfigured = "[Version]: \"0.45.1\"\n[CONFIG DIR]: Not Found\n On your system zellij looks in the following config directories by default:\n \
                            \"/h/.config/zellij\"\n \"/etc/zellij\"\n[CONFIG FILE]: Not Found\n[CACHE DIR]: /h/.cache/zellij\n";
        assert_eq!(
            Directories::parse(unconfigured).map(|found| found.config_file),
            Some(PathBuf::from("/h/.config/zellij/config.kdl"))
        );
    }
}
