//! Measured times and what is told of them.

use std::time::Duration;

/// Times of one thing, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    sorted: Vec<f64>,
}

impl Sample {
    /// Takes the times as they were measured.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of_millis(times.into_iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// Takes times in milliseconds.
    pub fn of_millis(times: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = times.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    /// How many were measured.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The time that this share of all stays within, in milliseconds; 0 where nothing was measured.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        self.sorted.get(index.min(last)).copied().unwrap_or(0.0)
    }

    /// Half of all stay within it.
    #[must_use]
    pub fn p50(&self) -> f64 {
        self.quantile(0.50)
    }

    /// One of a hundred takes longer.
    #[must_use]
    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// The average.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.sorted.is_empty() {
            return 0.0;
        }
        self.sorted.iter().sum::<f64>() / self.sorted.len() as f64
    }

    /// `p50 1.23 ms, p99 4.56 ms (n 300)`.
    #[must_use]
    pub fn told(&self) -> String {
        format!(
            "p50 {} p99 {} (n {})",
            millis(self.p50()),
            millis(self.p99()),
            self.count()
        )
    }
}

/// A time with a unit that suits it.
#[must_use]
pub fn millis(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => format!("{:.2} s", value / 1e3),
        value if value >= 10.0 => format!("{value:.1} ms"),
        value if value >= 0.1 => format!("{value:.2} ms"),
        value => format!("{:.1} µs", value * 1e3),
    }
}

/// A count a second, for people.
#[must_use]
pub fn rate(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2} M/s", value / 1e6)
    } else if value >= 1e4 {
        format!("{:.0} k/s", value / 1e3)
    } else {
        format!("{value:.0}/s")
    }
}

/// Bytes as megabytes of 1,000,000.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let sample = Sample::of_millis((1..=101).rev().map(f64::from));
        assert_eq!(
            (sample.p50(), sample.p99(), sample.count()),
            (51.0, 100.0, 101)
        );
        assert_eq!(Sample::default().p99(), 0.0);
    }

    #[test]
    fn a_time_has_the_unit_that_suits_it() {
        assert_eq!(millis(0.012), "12.0 µs");
        assert_eq!(millis(1.234), "1.23 ms");
        assert_eq!(millis(2_500.0), "2.50 s");
        assert_eq!(rate(1_500_000.0), "1.50 M/s");
    }
}
