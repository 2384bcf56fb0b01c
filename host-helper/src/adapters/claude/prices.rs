//! What tokens cost, to check the amount the client reports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tokens of one model, counted separately because each kind has its own price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Sent and not cached.
    pub input: u64,
    /// Answered.
    pub output: u64,
    /// Sent and found in the cache.
    pub cache_read: u64,
    /// Written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Written to the cache for an hour.
    pub cache_write_1h: u64,
}

impl Tokens {
    /// The sum of both, never overflowing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
        }
    }

    /// Everything that was sent: fresh, read from the cache and written to it.
    #[must_use]
    pub fn all_input(self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }
}

/// The prices of one model, in USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Sent and not cached.
    pub input: f64,
    /// Answered.
    pub output: f64,
    /// Read from the cache.
    pub cache_read: f64,
    /// Written to the cache for five minutes.
    pub cache_write_5m: f64,
    /// Written to the cache for an hour.
    pub cache_write_1h: f64,
}

impl Price {
    /// The prices that follow from the input price by the usual factors (0.1 for cache reads, 1.25 and 2
    /// for cache writes).
    #[must_use]
    pub fn from_input_output(input: f64, output: f64) -> Self {
        Self {
            input,
            output,
            cache_read: input * 0.1,
            cache_write_5m: input * 1.25,
            cache_write_1h: input * 2.0,
        }
    }

    fn of(&self, tokens: Tokens) -> f64 {
        let part = |count: u64, price: f64| millions(count) * price;
        part(tokens.input, self.input)
            + part(tokens.output, self.output)
            + part(tokens.cache_read, self.cache_read)
            + part(tokens.cache_write_5m, self.cache_write_5m)
            + part(tokens.cache_write_1h, self.cache_write_1h)
    }
}

/// Prices by model name. A name also stands for its dated versions: `claude-haiku-4-5` covers
/// `claude-haiku-4-5-20251001`.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceTable {
    prices: BTreeMap<String, Price>,
}

/// What a set of tokens costs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// US dollars, without the models below.
    pub usd: f64,
    /// Models without a price; their tokens are not in the sum.
    pub unpriced: Vec<String>,
}

impl Default for PriceTable {
    fn default() -> Self {
        let known = [
            ("claude-opus-4-8", 5.0, 25.0),
            ("claude-sonnet-4-6", 3.0, 15.0),
            ("claude-haiku-4-5", 1.0, 5.0),
        ];
        let price = |(name, input, output): (&str, f64, f64)| {
            (name.to_owned(), Price::from_input_output(input, output))
        };
        Self {
            prices: known.into_iter().map(price).collect(),
        }
    }
}

impl PriceTable {
    /// The built-in table with the user's own prices over it.
    #[must_use]
    pub fn with_overrides(overrides: impl IntoIterator<Item = (String, Price)>) -> Self {
        let mut table = Self::default();
        table.prices.extend(overrides);
        table
    }

    /// The price of a model as a transcript or the status line names it.
    #[must_use]
    pub fn price_of(&self, model: &str) -> Option<Price> {
        // `[1m]` marks the long context window; the price table has one price a model.
        let name = model.split('[').next().unwrap_or(model);
        // Cloud providers put a region and a vendor before the name.
        let name = name
            .rsplit(['.', '/'])
            .find(|part| part.starts_with("claude"))
            .unwrap_or(name);
        if let Some(price) = self.prices.get(name) {
            return Some(*price);
        }
        let dated = |known: &str| {
            let rest = name
                .strip_prefix(known)
                .and_then(|rest| rest.strip_prefix(['-', '@']));
            rest.is_some_and(|rest| rest.len() >= 8 && rest.starts_with("20"))
        };
        self.prices
            .iter()
            .find(|(known, _)| dated(known))
            .map(|(_, price)| *price)
    }

    /// The cost of the tokens of several models.
    #[must_use]
    pub fn cost<'a>(&self, usage: impl IntoIterator<Item = (&'a str, Tokens)>) -> Cost {
        let mut cost = Cost::default();
        for (model, tokens) in usage {
            match self.price_of(model) {
                Some(price) => cost.usd += price.of(tokens),
                None => cost.unpriced.push(model.to_owned()),
            }
        }
        cost
    }
}

/// Millions of tokens; exact up to 2^32 tokens of each half, far beyond any session.
fn millions(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cost_what_the_table_says() {
        let table = PriceTable::default();
        let tokens = Tokens {
            input: 1200,
            output: 50,
            cache_read: 8000,
            ..Tokens::default()
        };
        let cost = table.cost([("claude-opus-4-8", tokens)]);
        // 9 such answers and the like made 0.135 USD in the measurement; one is 0.01125.
        assert!((cost.usd - 0.01125).abs() < 1e-9, "{cost:?}");
        assert!(cost.unpriced.is_empty());
    }

    #[test]
    fn a_model_is_found_under_its_dated_and_provider_names() {
        let table = PriceTable::default();
        for name in [
            "claude-haiku-4-5",
            "claude-haiku-4-5-20251001",
            "claude-opus-4-8[1m]",
            "us.anthropic.claude-sonnet-4-6",
        ] {
            assert!(table.price_of(name).is_some(), "{name}");
        }
        for name in [
            "claude-opus-4-80",
            "claude-opus-4-8-mini",
            "other",
            "<synthetic>",
            "",
        ] {
            assert_eq!(table.price_of(name), None, "{name}");
        }
        assert_eq!(
            table.cost([("other", Tokens::default())]).unpriced,
            ["other"]
        );
    }

    #[test]
    fn the_user_may_set_other_prices() {
        let mine = Price::from_input_output(1.0, 1.0);
        let table = PriceTable::with_overrides([("claude-opus-4-8".to_owned(), mine)]);
        assert_eq!(table.price_of("claude-opus-4-8"), Some(mine));
        assert!(table.price_of("claude-haiku-4-5").is_some());
    }
}
