//! Which repositories may have something run: their `.claustre/hooks/` and `.claustre/config.toml`, bound to their content.
//!
//! Trust is given by a person to what was shown, and kept with a copy of it in the home, outside of every repository. Any change
//! ends it. What runs is read from the copy, never from a checkout that an agent can write. A repository has no word in this.

mod collect;
mod compare;
mod filters;
mod place;
mod store;
#[cfg(test)]
mod tests;
mod visible;

use std::{collections::BTreeMap, io, path::PathBuf};

pub(crate) use self::store::write_file;
pub use self::{
    collect::{collect, collect_own},
    compare::{Change, Kind, compare},
    filters::{Filters, filters},
    place::Place,
    store::{Standing, TrustStore, Trusted},
    visible::{Shown, shown, visible},
};

/// The folder of a repository that is ours to read.
pub const FOLDER: &str = ".claustre";
/// Hooks, below [`FOLDER`].
pub const HOOKS: &str = "hooks";
/// The configuration, below [`FOLDER`].
pub const CONFIG: &str = "config.toml";

/// One file that can make something run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// May its owner execute it?
    pub executable: bool,
}

/// Files by their path below the folder, with `/` between the parts: `hooks/setup`, `config.toml`.
pub type Files = BTreeMap<String, Content>;

/// Why trust cannot be looked at, given or taken.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The path is in no repository.
    #[error("looking for the repository of {}: there is none", .0.display())]
    NoRepository(PathBuf),
    /// Something in the folder is of a kind that is never trusted.
    #[error("reading {}: {why}", path.display())]
    Refused {
        /// What.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file or directory.
    #[error("{doing} {}: {error}", path.display())]
    File {
        /// What was being done, such as `reading`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
}

impl TrustError {
    fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { doing, path, error }
    }

    fn refused(path: &std::path::Path, why: impl Into<String>) -> Self {
        Self::Refused {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}
