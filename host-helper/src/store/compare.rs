//! Holds the rows of the projections against those that the log makes, and writes them anew.

use claustre_domain::entity::EntityRef;
use rusqlite::{Connection, Row, types::ValueRef};

use super::{
    StoreError,
    entities::{self, Standing, TABLES, Table, Wanted},
    replay::DifferenceKind,
};

/// As many missing rows are better written without the indexes, which are then made anew in one go.
const MANY: i64 = 1000;

/// The tables under comparison.
pub(super) struct Comparisons<'connection> {
    connection: &'connection Connection,
    /// Rows of each table at the beginning, in the order of [`TABLES`].
    rows: Vec<(&'static str, i64)>,
    /// What makes the indexes that were put aside.
    aside: Vec<String>,
    missing: i64,
    table: &'static str,
}

impl<'connection> Comparisons<'connection> {
    pub(super) fn open(connection: &'connection Connection) -> rusqlite::Result<Self> {
        let rows = TABLES
            .iter()
            .map(|table| {
                connection.query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| {
                    Ok((table.name, row.get(0)?))
                })
            })
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            connection,
            rows,
            aside: Vec::new(),
            missing: 0,
            table: "",
        })
    }

    /// How the row that stands differs; none where it does not.
    pub(super) fn look(&self, wanted: &Wanted) -> rusqlite::Result<Option<DifferenceKind>> {
        let table = entities::table(wanted.of);
        let mut statement = self.connection.prepare_cached(table.compare)?;
        let mut rows = statement.query([&wanted.id])?;
        let Some(row) = rows.next()? else {
            return Ok(Some(DifferenceKind::Missing));
        };
        let same = same_row(row, wanted)?
            && (!matches!(wanted.of, EntityRef::Task(_)) || self.same_dependencies(wanted)?);
        Ok((!same).then_some(DifferenceKind::Differs))
    }

    fn same_dependencies(&self, wanted: &Wanted) -> rusqlite::Result<bool> {
        let mut all: Vec<String> = wanted
            .dependencies
            .iter()
            .map(ToString::to_string)
            .collect();
        all.sort_unstable();
        all.dedup();
        let standing: Vec<String> = self
            .connection
            .prepare_cached(
                "SELECT depends_on FROM task_dependencies WHERE task = ?1 ORDER BY depends_on",
            )?
            .query_map([&wanted.id], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(standing == all)
    }

    /// Writes the row that should stand.
    pub(super) fn put_right(
        &mut self,
        wanted: Wanted,
        kind: DifferenceKind,
    ) -> Result<(), StoreError> {
        self.make_way(&wanted, kind)
            .map_err(StoreError::doing("writing what the log makes"))?;
        wanted.save(self.connection, &mut Standing::default())
    }

    fn make_way(&mut self, wanted: &Wanted, kind: DifferenceKind) -> rusqlite::Result<()> {
        if kind == DifferenceKind::Missing {
            self.count_missing(entities::table(wanted.of))?;
        }
        if matches!(wanted.of, EntityRef::Task(_)) {
            self.connection
                .prepare_cached("DELETE FROM task_dependencies WHERE task = ?1")?
                .execute([&wanted.id])?;
        }
        Ok(())
    }

    /// Puts the indexes of a table aside once so many of its rows are missing that they cost more than making them anew.
    fn count_missing(&mut self, table: &Table) -> rusqlite::Result<()> {
        if self.table != table.name {
            self.table = table.name;
            self.missing = 0;
        }
        self.missing += 1;
        let standing = self
            .rows
            .iter()
            .find(|(name, _)| *name == table.name)
            .map_or(0, |(_, rows)| *rows);
        if self.missing != MANY || standing > MANY {
            return Ok(());
        }
        let indexes: Vec<(String, String)> = self
            .connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL")?
            .query_map([table.name], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (name, sql) in indexes {
            self.connection
                .execute_batch(&format!("DROP INDEX \"{name}\""))?;
            self.aside.push(sql);
        }
        Ok(())
    }

    /// Makes the indexes anew that were put aside.
    pub(super) fn close(self) -> Result<(), StoreError> {
        for sql in self.aside {
            self.connection
                .execute_batch(&sql)
                .map_err(StoreError::doing("making an index anew"))?;
        }
        Ok(())
    }
}

fn same_row(row: &Row<'_>, wanted: &Wanted) -> rusqlite::Result<bool> {
    for (place, value) in wanted.columns.iter().enumerate() {
        if row.get_ref(place)? != ValueRef::from(value) {
            return Ok(false);
        }
    }
    Ok(row.get_ref(wanted.columns.len())?.as_str()? == wanted.state)
}
