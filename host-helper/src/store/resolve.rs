//! From what a person types to an id: a whole id, the beginning of one, or an exact name.

use claustre_protocol::ids::{ProjectId, SessionId, TaskId};
use uuid::Uuid;

use super::{Reader, StoreError, codec};

/// The shortest beginning of an id that is understood as one.
const SHORTEST_PREFIX: usize = 4;

/// More answers than this only say "not unique".
const MANY: usize = 20;

impl Reader {
    /// The projects that the text may mean: by id, beginning of an id, or name.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn resolve_project(&self, text: &str) -> Result<Vec<ProjectId>, StoreError> {
        self.resolve(
            text,
            "SELECT id FROM projects WHERE present = 1 AND name = ?1 ORDER BY id",
            "SELECT id FROM projects WHERE +present = 1 AND id >= ?1 AND id < ?2 ORDER BY id",
        )
        .map(|found| found.into_iter().map(ProjectId::new).collect())
    }

    /// The tasks that the text may mean: by id, beginning of an id, title or branch. Deleted ones only by their whole id.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn resolve_task(&self, text: &str) -> Result<Vec<TaskId>, StoreError> {
        self.resolve(
            text,
            "SELECT id FROM tasks WHERE deleted = 0 AND title = ?1
             UNION SELECT id FROM tasks WHERE deleted = 0 AND branch = ?1 ORDER BY id",
            // The plus signs keep SQLite from walking an index that begins with `deleted`.
            "SELECT id FROM tasks WHERE id >= ?1 AND id < ?2 AND (+deleted = 0 OR +id = ?1) ORDER BY id",
        )
        .map(|found| found.into_iter().map(TaskId::new).collect())
    }

    /// The sessions that the text may mean: by id, beginning of an id, name of the tab, branch, title, or the client's own id.
    /// Where open ones answer to a name, closed ones do not count.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn resolve_session(&self, text: &str) -> Result<Vec<SessionId>, StoreError> {
        self.resolve(
            text,
            "WITH named AS (
                 SELECT id, open FROM sessions WHERE tab_name = ?1
                 UNION SELECT id, open FROM sessions WHERE branch = ?1
                 UNION SELECT id, open FROM sessions WHERE title = ?1
                 UNION SELECT id, open FROM sessions WHERE claude = ?1)
             SELECT id FROM named WHERE open = (SELECT max(open) FROM named) ORDER BY id",
            "SELECT id FROM sessions WHERE id >= ?1 AND id < ?2 ORDER BY id",
        )
        .map(|found| found.into_iter().map(SessionId::new).collect())
    }

    /// A name is meant before the beginning of an id: a branch may look like one.
    fn resolve(&self, text: &str, by_name: &str, by_prefix: &str) -> Result<Vec<Uuid>, StoreError> {
        let doing = "looking up a name";
        let text = text.trim();
        let named: Vec<Uuid> =
            self.rows(doing, by_name, [text], |row| codec::uuid_column(row, 0))?;
        if !named.is_empty() {
            return Ok(named);
        }
        let Some(prefix) = id_prefix(text) else {
            return Ok(Vec::new());
        };
        // 'g' follows every hexadecimal digit.
        let mut found: Vec<Uuid> = self.rows(
            doing,
            &format!("{by_prefix} LIMIT {MANY}"),
            [prefix.clone(), format!("{prefix}g")],
            |row| codec::uuid_column(row, 0),
        )?;
        found.dedup();
        Ok(found)
    }
}

/// The text as the beginning of a hyphenated id, if it can be one.
fn id_prefix(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if !(SHORTEST_PREFIX..=32).contains(&digits.len())
        || !digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let mut prefix = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            prefix.push('-');
        }
        prefix.push(digit);
    }
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_may_be_typed_with_or_without_hyphens() {
        assert_eq!(id_prefix("1F3A").as_deref(), Some("1f3a"));
        assert_eq!(id_prefix("1f3a9c02-ab").as_deref(), Some("1f3a9c02-ab"));
        assert_eq!(
            id_prefix("1f3a9c02abcd1").as_deref(),
            Some("1f3a9c02-abcd-1")
        );
        assert_eq!(id_prefix("1f3"), None);
        assert_eq!(id_prefix("fix-auth"), None);
    }
}
