//! One file of the configuration, read key by key with the line of each.

use std::{fs, io, ops::Range, path::Path};

use toml_edit::{Document, Item, Table};

use super::{ConfigError, Entry, Layers, Origin, Problem, Warning, schema};

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The user's: everything.
    User,
    /// A repository's: what cannot do harm.
    Repository,
    /// A repository's that a person trusted: what starts programs as well.
    Trusted,
}

/// Adds what a file says; a file that is not there says nothing.
pub(super) fn file(layers: &mut Layers, path: &Path, whose: Whose) -> Result<(), ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => read(layers, &path.display().to_string(), &text, whose),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ConfigError::Read {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Adds what a text says.
pub(super) fn read(
    layers: &mut Layers,
    name: &str,
    text: &str,
    whose: Whose,
) -> Result<(), ConfigError> {
    let document = Document::parse(text).map_err(|error| {
        ConfigError::Wrong(vec![Problem {
            file: name.to_owned(),
            line: line_of(text, error.span()),
            what: format!("not TOML: {}", error.message().trim()),
        }])
    })?;
    let mut reader = Reader {
        layers,
        name,
        text,
        whose,
        problems: Vec::new(),
    };
    reader.root(document.as_table());
    if reader.problems.is_empty() {
        Ok(())
    } else {
        Err(ConfigError::Wrong(reader.problems))
    }
}

struct Reader<'a> {
    layers: &'a mut Layers,
    name: &'a str,
    text: &'a str,
    whose: Whose,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn root(&mut self, root: &Table) {
        for (section, item) in root {
            let line = self.line(root, section);
            if !schema::is_section(section) {
                self.warn(
                    line,
                    if item.is_table_like() {
                        format!("unknown section [{section}]")
                    } else {
                        format!("unknown key {section}; every key stands in a section")
                    },
                );
            } else if let Some(table) = item.as_table_like() {
                if section == "prices" {
                    self.prices(table, line);
                } else {
                    self.section(section, section, table, line);
                }
            } else {
                self.wrong(
                    line,
                    format!("{section} is a section: write [{section}] on a line of its own"),
                );
            }
        }
    }

    /// `[prices.MODEL]`.
    fn prices(&mut self, table: &dyn toml_edit::TableLike, line: usize) {
        for (model, item) in table.iter() {
            match item.as_table_like() {
                Some(prices) => self.section("prices", &format!("prices.{model}"), prices, line),
                None => self.wrong(
                    line,
                    format!("prices.{model} is a section: write [prices.{model:?}]"),
                ),
            }
        }
    }

    fn section(
        &mut self,
        section: &str,
        path: &str,
        table: &dyn toml_edit::TableLike,
        line: usize,
    ) {
        for (key, item) in table.iter() {
            let at = table.get_key_value(key).and_then(|(key, _)| key.span());
            let line = at.map_or(line, |span| line_of(self.text, Some(span)));
            let Some(rule) = schema::find(section, key) else {
                self.warn(line, format!("unknown key {path}.{key}"));
                continue;
            };
            let (may, why) = match self.whose {
                Whose::User => (true, ""),
                Whose::Repository if rule.once_trusted => (
                    rule.from_repository,
                    "counts only once `claustre trust` was given",
                ),
                Whose::Repository => (false, "is not for a repository to say; left out"),
                Whose::Trusted => (
                    rule.once_trusted,
                    "is not for a repository to say; left out",
                ),
            };
            if !may {
                self.warn(line, format!("{path}.{key} {why}"));
                continue;
            }
            match item.as_value().and_then(|value| rule.takes.check(value)) {
                Some(value) => {
                    let origin = Origin {
                        file: self.name.to_owned(),
                        line,
                    };
                    self.layers
                        .entries
                        .insert((path.to_owned(), key.to_owned()), Entry { value, origin });
                }
                None => {
                    let given = shown(item);
                    self.wrong(
                        line,
                        format!("{path}.{key} is {given}; it takes {}", rule.takes.words()),
                    );
                }
            }
        }
    }

    fn line(&self, table: &Table, key: &str) -> usize {
        let (key, item) = match table.get_key_value(key) {
            Some(found) => found,
            None => return 1,
        };
        line_of(self.text, key.span().or_else(|| item.span()))
    }

    fn warn(&mut self, line: usize, what: String) {
        self.layers.warnings.push(Warning {
            file: self.name.to_owned(),
            line,
            what,
        });
    }

    fn wrong(&mut self, line: usize, what: String) {
        self.problems.push(Problem {
            file: self.name.to_owned(),
            line,
            what,
        });
    }
}

fn shown(item: &Item) -> String {
    let text = item.to_string();
    let text = text.trim();
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Line of a place in the text, from 1.
fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start);
    text.get(..start)
        .map_or(1, |before| before.matches('\n').count() + 1)
}
