//! What a run may use: tokens, money.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::agent::report::Usage;

/// What a run may use. The default has no limit.
///
/// The agent's program tells what it has used after each answer of its model: the last one may go beyond the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Budget {
    /// Tokens, as [`Usage::total_tokens`] counts them.
    pub tokens: Option<u64>,
    /// Money, and the prices by which tokens cost it.
    pub cost: Option<(Usd, Prices)>,
}

/// An amount of US dollars, to the millionth. As text and as JSON it is a number: `0.125`.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Usd(u64);

/// What a million tokens of a model cost.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Of those that are sent.
    pub input: Usd,
    /// Of those that are sent and that the service had in its cache.
    pub cached_input: Usd,
    /// Of those that are sent and that it put into its cache, where they are counted apart.
    pub cache_write: Usd,
    /// Of those that are received.
    pub output: Usd,
}

const MILLION: u64 = 1_000_000;

impl Budget {
    /// Whether there is a limit.
    pub(crate) fn is_set(&self) -> bool {
        self.tokens.is_some() || self.cost.is_some()
    }

    /// What is used up, in words.
    pub(crate) fn find_excess(&self, usage: &Usage) -> Option<String> {
        let tokens = self.tokens.filter(|limit| usage.total_tokens >= *limit);
        if let Some(limit) = tokens {
            let used = usage.total_tokens;
            return Some(format!("{used} tokens are used, of {limit}"));
        }
        let (limit, prices) = self.cost.as_ref()?;
        let cost = prices.cost(usage);
        (cost >= *limit).then(|| format!("{cost} USD are used, of {limit}"))
    }
}

impl Prices {
    /// What these tokens cost.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Usd {
        let cached = usage.cached_input_tokens.unwrap_or_default();
        let written = usage.cache_write_input_tokens.unwrap_or_default();
        let fresh = usage
            .input_tokens
            .saturating_sub(cached.saturating_add(written));
        let of = |tokens: u64, price: Usd| u128::from(tokens) * u128::from(price.0);
        let sum = of(fresh, self.input)
            + of(cached, self.cached_input)
            + of(written, self.cache_write)
            + of(usage.output_tokens, self.output);
        Usd(u64::try_from(sum.div_ceil(u128::from(MILLION))).unwrap_or(u64::MAX))
    }
}

/// Why a text is no amount.
const NO_AMOUNT: &str =
    "it must be an amount of US dollars, such as 2.50, with at most six decimals";

impl FromStr for Usd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_amount = !whole.is_empty() && part.len() <= 6 && is_number(whole) && is_number(part);
        let dollars = whole.parse::<u64>().ok().filter(|_| is_amount);
        let millionths = format!("{part:0<6}").parse::<u64>().ok();
        let sum = dollars
            .and_then(|dollars| dollars.checked_mul(MILLION))
            .zip(millionths)
            .and_then(|(dollars, part)| dollars.checked_add(part));
        sum.map(Self).ok_or(NO_AMOUNT)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, part) = (self.0 / MILLION, self.0 % MILLION);
        let part = format!("{part:06}");
        let part = part.trim_end_matches('0');
        write!(f, "{dollars}.{part:0<2}")
    }
}

impl From<Usd> for f64 {
    fn from(amount: Usd) -> Self {
        amount.0 as Self / MILLION as Self
    }
}

impl TryFrom<f64> for Usd {
    type Error = &'static str;

    fn try_from(amount: f64) -> Result<Self, Self::Error> {
        let millionths = (amount * MILLION as f64).round();
        let is_amount = (0.0..1e18).contains(&millionths);
        // It is a whole number within the range of the type.
        is_amount
            .then_some(Self(millionths as u64))
            .ok_or(NO_AMOUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().expect("an amount")
    }

    #[test]
    fn amounts_are_exact() {
        for (text, shown) in [
            ("2.5", "2.50"),
            ("0", "0.00"),
            ("0.000001", "0.000001"),
            ("10", "10.00"),
            ("0.125", "0.125"),
        ] {
            assert_eq!(usd(text).to_string(), shown);
            let json = serde_json::to_string(&usd(text)).expect("JSON");
            assert_eq!(
                serde_json::from_str::<Usd>(&json).expect("an amount"),
                usd(text)
            );
        }
        for bad in [
            "",
            ".",
            ".5",
            "-1",
            "1e3",
            "0.0000001",
            "1,5",
            "NaN",
            "99999999999999999999",
            " 1",
            "+1",
        ] {
            assert!(bad.parse::<Usd>().is_err(), "{bad}");
        }
        for bad in ["-1.0", "1e300"] {
            assert!(serde_json::from_str::<Usd>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let prices = Prices {
            input: usd("1.25"),
            cached_input: usd("0.125"),
            cache_write: usd("2"),
            output: usd("10"),
        };
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            total_tokens: 1_100_000,
            cached_input_tokens: Some(400_000),
            cache_write_input_tokens: Some(100_000),
            reasoning_output_tokens: Some(50_000),
        };
        // 500,000 fresh, 400,000 cached, 100,000 written, 100,000 received.
        assert_eq!(prices.cost(&usage), usd("1.875"));
        let most = Usage {
            output_tokens: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(prices.cost(&most).to_string(), Usd(u64::MAX).to_string());
    }

    #[test]
    fn what_is_used_up_is_told() {
        let usage = |total_tokens| Usage {
            total_tokens,
            output_tokens: total_tokens,
            ..Usage::default()
        };
        let mut budget = Budget::default();
        assert_eq!(budget.find_excess(&usage(u64::MAX)), None);
        budget.tokens = Some(100);
        assert_eq!(budget.find_excess(&usage(99)), None);
        assert_eq!(
            budget.find_excess(&usage(100)).as_deref(),
            Some("100 tokens are used, of 100")
        );
        let prices = Prices {
            input: usd("1"),
            cached_input: usd("1"),
            cache_write: usd("1"),
            output: usd("10"),
        };
        budget.cost = Some((usd("0.0005"), prices));
        assert_eq!(budget.find_excess(&usage(49)), None);
        assert_eq!(
            budget.find_excess(&usage(50)).as_deref(),
            Some("0.0005 USD are used, of 0.0005")
        );
    }
}
