//! Filters that a repository's own git configuration defines, such as those of git-crypt: programs that git starts for each file.
//! Claustre runs them only where the user allowed them, in just the words that were shown.

use std::{fs, io};

use super::{Place, TrustError, TrustStore, store};
use crate::adapters::git::{self, Git};

/// Settings by their keys: `filter.NAME.clean` and its program.
pub type Filters = Vec<(String, String)>;

const FILE: &str = "filters.json";

/// The filters that the repository's configuration defines now.
///
/// # Errors
/// Git cannot read it.
pub fn filters(place: &Place) -> Result<Filters, TrustError> {
    git::own_filters(&Git::new(), &place.common_dir)
        .map_err(|error| TrustError::refused(&place.common_dir.join("config"), error.to_string()))
}

impl TrustStore {
    /// Allows exactly these filters in the repository; none takes it back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn allow_filters(&self, place: &Place, filters: &Filters) -> Result<(), TrustError> {
        let own = self.make_own(place)?;
        let path = own.join(FILE);
        let text = serde_json::to_vec_pretty(filters)
            .map_err(|error| TrustError::refused(&path, error.to_string()))?;
        store::replace_file(&path, &text)
    }

    /// The filters that the user allowed; none where nothing is recorded or can be read.
    pub fn allowed_filters(&self, place: &Place) -> Filters {
        let path = self.own(place).join(FILE);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "allowed filters could not be read");
                Filters::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Filters::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "allowed filters could not be read");
                Filters::new()
            }
        }
    }
}
