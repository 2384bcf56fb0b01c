//! What the commands print: data on standard output, talk on standard error, nothing that a terminal could take amiss.

use std::{
    env,
    io::{self, BufRead, IsTerminal, Write},
};

use claustre_protocol::time::Timestamp;
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::error::CliError;
use crate::text::terminal_safe;

/// Space between two columns.
const GAP: &str = "  ";
/// Least width that a text column is cut to; short ids have as many.
const LEAST: usize = 8;

/// How output is made.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// Exact protocol JSON instead of text?
    pub json: bool,
    /// Colours on standard output?
    pub colour: bool,
    /// Columns of the terminal; none where there is none, and then nothing is cut.
    pub width: Option<usize>,
    /// Is a person there to be asked?
    pub interactive: bool,
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Text, from the left.
    Left(&'static str),
    /// Numbers, from the right.
    Right(&'static str),
}

impl Ui {
    /// For where we run.
    pub fn detect(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = if terminal { columns() } else { None };
        Self {
            json,
            colour: terminal && !plain,
            width,
            interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// Prints one JSON value, indented where a person reads it.
    pub fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), CliError> {
        let text = if self.width.is_some() {
            serde_json::to_string_pretty(value)?
        } else {
            serde_json::to_string(value)?
        };
        self.raw(&text)
    }

    /// Prints a line of data that holds nothing of others, or was made safe before.
    pub fn raw(&self, line: &str) -> Result<(), CliError> {
        let mut output = io::stdout().lock();
        writeln!(output, "{line}")?;
        Ok(output.flush()?)
    }

    /// Prints text of others, line breaks kept.
    pub fn text(&self, text: &str) -> Result<(), CliError> {
        self.raw(terminal_safe(text).trim_end())
    }

    /// Prints a diff of others, its lines coloured by what they say.
    pub fn diff(&self, text: &str) -> Result<(), CliError> {
        let safe = terminal_safe(text);
        if !self.colour {
            return self.raw(safe.trim_end());
        }
        let mut output = io::BufWriter::new(io::stdout().lock());
        for line in safe.trim_end().lines() {
            let style = match line.get(..1) {
                _ if line.starts_with("diff ") => "1",
                _ if line.starts_with("@@") => "36",
                Some("+") => "32",
                Some("-") => "31",
                _ => "0",
            };
            writeln!(output, "\u{1b}[{style}m{line}\u{1b}[0m")?;
        }
        Ok(output.flush()?)
    }

    /// Prints `name  value`, aligned; empty values are left out.
    pub fn fields(&self, fields: &[(&str, String)]) -> Result<(), CliError> {
        let widest = fields
            .iter()
            .map(|(name, _)| name.width())
            .max()
            .unwrap_or(0);
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let name = self.dim(&format!("{name:widest$}"));
            self.raw(&format!("{name}{GAP}{}", one_line(value)))?;
        }
        Ok(())
    }

    /// Prints an aligned table; the widest text column gives way where the terminal is too narrow.
    pub fn table(&self, columns: &[Column], rows: &[Vec<String>]) -> Result<(), CliError> {
        for (at, line) in layout(columns, rows, self.width).into_iter().enumerate() {
            self.raw(&if at == 0 { self.dim(&line) } else { line })?;
        }
        Ok(())
    }

    /// Says something to the person.
    pub fn say(&self, text: &str) {
        eprintln!("{}", terminal_safe(text));
    }

    /// Shows lines that were made safe, a screen at a time where a person is asked afterwards: nothing scrolls away unread.
    pub fn page(&self, lines: &[String], yes: bool) -> Result<(), CliError> {
        let size = rustix::termios::tcgetwinsize(io::stderr())
            .ok()
            .filter(|size| self.interactive && !yes && size.ws_row > 0);
        let screen = size.map_or(usize::MAX, |size| {
            usize::from(size.ws_row).saturating_sub(2).max(1)
        });
        let width = size.map_or(usize::MAX, |size| usize::from(size.ws_col).max(1));
        let mut left = screen;
        for (at, line) in lines.iter().enumerate() {
            // A tab takes as many columns as it may.
            let columns = line.width() + 8 * line.matches('\t').count();
            let height = columns.div_ceil(width).max(1);
            if height > left && left < screen {
                eprint!(
                    "-- {} of {} lines; Enter goes on, q ends --",
                    at,
                    lines.len()
                );
                let mut answer = String::new();
                io::stdin()
                    .lock()
                    .read_line(&mut answer)
                    .map_err(|error| CliError::failed("reading the answer", error))?;
                if answer.is_empty() || answer.trim().starts_with(['q', 'Q']) {
                    return Err(CliError::failed("not confirmed", "nothing was changed"));
                }
                left = screen;
            }
            left = left.saturating_sub(height);
            self.say(line);
        }
        Ok(())
    }

    /// Asks before something is lost. Without a person there must be `--yes`.
    pub fn confirm(&self, yes: bool, question: &str) -> Result<(), CliError> {
        if yes {
            return Ok(());
        }
        if !self.interactive {
            return Err(CliError::usage(format!(
                "not confirmed, nobody is there to be asked: {question}"
            ))
            .with_hint("add --yes"));
        }
        eprint!("{} [y/N] ", terminal_safe(question));
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(|error| CliError::failed("reading the answer", error))?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(CliError::failed("not confirmed", "nothing was changed"))
        }
    }

    fn dim(&self, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[2m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Columns of the terminal, as the user set them or as it says itself.
fn columns() -> Option<usize> {
    let given = env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    given
        .or_else(|| {
            let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
            Some(usize::from(size.ws_col))
        })
        .filter(|width| *width > 0)
}

/// Text of others on one line, safe for a terminal.
pub fn one_line(text: &str) -> String {
    terminal_safe(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// How old, short.
pub fn age(time: Timestamp) -> String {
    time.age(now())
}

/// This moment.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `12.4k`, `3.1M`; below a thousand as it is.
pub fn count(number: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", number / unit, number % unit * 10 / unit);
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}k", tenths(1_000)),
        _ => format!("{}M", tenths(1_000_000)),
    }
}

fn layout(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let heads = columns.iter().map(|column| match column {
        Column::Left(name) | Column::Right(name) => (*name).to_owned(),
    });
    let mut cells: Vec<Vec<String>> = vec![heads.collect()];
    cells.extend(
        rows.iter()
            .map(|row| row.iter().map(|cell| one_line(cell)).collect()),
    );
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            cells
                .iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    if let Some(width) = width {
        fit(&mut widths, columns, width);
    }
    cells
        .iter()
        .map(|row| {
            let mut line = String::new();
            for (at, ((cell, column), width)) in row.iter().zip(columns).zip(&widths).enumerate() {
                if at > 0 {
                    line.push_str(GAP);
                }
                let cell = cut(cell, *width);
                let space = " ".repeat(width.saturating_sub(cell.width()));
                match column {
                    Column::Left(_) => line.extend([cell, space]),
                    Column::Right(_) => line.extend([space, cell]),
                }
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// Takes from whichever text column is the widest until the table fits. Where that is not enough the last column goes: it
/// says the least.
fn fit(widths: &mut Vec<usize>, columns: &[Column], width: usize) {
    let natural = widths.clone();
    loop {
        let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        if total <= width {
            return;
        }
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| matches!(column, Column::Left(_)) && **width > LEAST)
            .map(|(width, _)| width)
            .max_by_key(|width| **width);
        match (widest, columns) {
            (Some(widest), _) => *widest -= 1,
            (None, [others @ .., Column::Left(_)]) if others.len() > 1 => {
                natural
                    .get(..others.len())
                    .unwrap_or_default()
                    .clone_into(widths);
                return fit(widths, others, width);
            }
            (None, _) => return,
        }
    }
}

/// The beginning that fits, with an ellipsis where something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_fits() {
        let rows = vec![
            vec![
                "1".into(),
                "漢字 title\u{1b}[31m that is long".into(),
                "9".into(),
            ],
            vec!["22".into(), "b\nc".into(), "100".into()],
        ];
        let columns = [
            Column::Left("ID"),
            Column::Left("TITLE"),
            Column::Right("N"),
        ];
        assert_eq!(
            layout(&columns, &rows, Some(24)),
            [
                "ID  TITLE              N",
                "1   漢字 title tha…    9",
                "22  b c              100"
            ]
        );
        assert_eq!(
            layout(&columns, &rows, None).get(1).map(String::as_str),
            Some("1   漢字 title that is long    9")
        );
    }

    #[test]
    fn in_a_narrow_terminal_columns_give_way_alike_and_the_last_goes() {
        let row = [
            "6ee652de",
            "shop:task/fix-the-sum",
            "waiting for input",
            "looking",
        ];
        let rows = vec![row.map(str::to_owned).to_vec()];
        let columns = ["ID", "SESSION", "STATUS", "SAYS"].map(Column::Left);
        assert_eq!(
            layout(&columns, &rows, Some(46)),
            [
                "ID        SESSION        STATUS        SAYS",
                "6ee652de  shop:task/fi…  waiting for…  looking"
            ]
        );
        assert_eq!(
            layout(&columns, &rows, Some(34)),
            [
                "ID        SESSION      STATUS",
                "6ee652de  shop:task/…  waiting fo…"
            ]
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [999, 12_449, 3_100_000].map(count),
            ["999", "12.4k", "3.1M"]
        );
    }
}
