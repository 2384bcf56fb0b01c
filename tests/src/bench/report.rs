//! The lines of a run: what was measured, its floor, their ratio, the budget and whether it is met.

use std::path::Path;

use serde_json::{Value, json};

/// How a measurement stands to its budget.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Met,
    /// By how much it is missed.
    Missed(String),
    /// It could not be measured here, and why.
    NotMeasured(String),
    /// It has no budget: it stands there to explain another line.
    Told,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub path: String,
    pub measured: String,
    /// What it is compared with, from the same run.
    pub floor: String,
    pub ratio: Option<f64>,
    pub budget: String,
    pub verdict: Verdict,
    /// The numbers themselves, with their units in their names.
    pub numbers: Value,
}

/// All lines so far.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Verdict {
    /// At most this.
    #[must_use]
    pub fn at_most(value: f64, limit: f64, unit: &str) -> Self {
        if value <= limit {
            Self::Met
        } else {
            Self::Missed(format!("{} {unit}", short(value - limit)))
        }
    }

    /// At least this.
    #[must_use]
    pub fn at_least(value: f64, limit: f64, unit: &str) -> Self {
        if value >= limit {
            Self::Met
        } else {
            Self::Missed(format!("{} {unit}", short(limit - value)))
        }
    }

    /// Met only if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missed(one), Self::Missed(two)) => Self::Missed(format!("{one} and {two}")),
            (Self::Missed(one), _) | (_, Self::Missed(one)) => Self::Missed(one),
            (one, Self::Met) => one,
            (_, two) => two,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Met => "met".into(),
            Self::Missed(by) => format!("missed by {by}"),
            Self::NotMeasured(why) => format!("not measured: {why}"),
            Self::Told => "-".into(),
        }
    }
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

impl Report {
    /// Adds a line and prints it.
    pub fn add(&mut self, line: Line) {
        let ratio = line
            .ratio
            .map_or_else(String::new, |ratio| format!(" | ratio {ratio:.2}"));
        println!(
            "{}: {} | floor {}{ratio} | budget {} | {}",
            line.path,
            line.measured,
            line.floor,
            line.budget,
            line.verdict.told()
        );
        self.lines.push(line);
    }

    /// Notes that something could not be measured.
    pub fn skip(&mut self, path: &str, budget: &str, why: impl Into<String>) {
        self.add(Line {
            path: path.into(),
            measured: "-".into(),
            floor: "-".into(),
            ratio: None,
            budget: budget.into(),
            verdict: Verdict::NotMeasured(why.into()),
            numbers: json!({}),
        });
    }

    /// Is there a line that missed its budget?
    #[must_use]
    pub fn missed(&self) -> bool {
        self.lines
            .iter()
            .any(|line| matches!(line.verdict, Verdict::Missed(_)))
    }

    /// Was everything measured?
    #[must_use]
    pub fn complete(&self) -> bool {
        !self
            .lines
            .iter()
            .any(|line| matches!(line.verdict, Verdict::NotMeasured(_)))
    }

    /// Prints the table.
    pub fn print_table(&self) {
        let rows: Vec<[String; 5]> = self
            .lines
            .iter()
            .map(|line| {
                [
                    line.path.clone(),
                    line.measured.clone(),
                    line.ratio
                        .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                    line.budget.clone(),
                    line.verdict.told(),
                ]
            })
            .collect();
        let head = ["path", "measured", "ratio", "budget", "verdict"].map(String::from);
        let width = |column: usize| {
            rows.iter()
                .chain([&head])
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths = [width(0), width(1), width(2), width(3)];
        println!();
        for row in [&head].into_iter().chain(&rows) {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(widths) {
                text.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(&row[4]);
            println!("{}", text.trim_end());
        }
    }

    /// Writes all lines as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, about: &Value) -> std::io::Result<()> {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                let verdict = match &line.verdict {
                    Verdict::Met => "met",
                    Verdict::Missed(_) => "missed",
                    Verdict::NotMeasured(_) => "not measured",
                    Verdict::Told => "told",
                };
                json!({"path": line.path, "measured": line.measured, "floor": line.floor, "ratio": line.ratio,
                    "budget": line.budget, "verdict": verdict, "told": line.verdict.told(), "numbers": line.numbers})
            })
            .collect();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let whole = json!({"about": about, "lines": lines});
        std::fs::write(path, format!("{whole:#}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_or_missed_by_so_much() {
        assert_eq!(Verdict::at_most(1.8, 1.8, "x"), Verdict::Met);
        assert_eq!(
            Verdict::at_most(2.0, 1.75, "x"),
            Verdict::Missed("0.25 x".into())
        );
        let both = Verdict::at_least(0.5, 0.75, "x").and(Verdict::Met);
        assert_eq!(both, Verdict::Missed("0.25 x".into()));
        assert_eq!(Verdict::Met.and(Verdict::Met), Verdict::Met);
    }
}
