//! The options of a run's budget.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use clap::Args;

use super::usage;
use crate::Error;
use crate::task::budget::{Budget, Prices, Usd};

#[derive(Args)]
#[command(next_help_heading = "Budget")]
pub(super) struct Spending {
    /// End the run (`over_budget`) when its session has used so many tokens, as `usage.total_tokens` counts them.
    #[arg(long, value_name = "N")]
    max_tokens: Option<NonZeroU64>,
    /// End the run when its tokens have cost so much, by the prices that the configuration file has for the --model.
    #[arg(long, value_name = "USD", value_parser = amount)]
    max_cost: Option<Usd>,
}

impl Spending {
    /// The budget. Without the prices of its model nobody could hold a run to a limit of money.
    pub(super) fn budget(
        &self,
        model: Option<&str>,
        prices: &BTreeMap<String, Prices>,
    ) -> Result<Budget, Error> {
        let mut budget = Budget {
            tokens: self.max_tokens.map(NonZeroU64::get),
            ..Budget::default()
        };
        let Some(limit) = self.max_cost else {
            return Ok(budget);
        };
        let Some(model) = model else {
            return Err(usage(
                "--max-cost needs the model whose prices count: name it with --model",
            ));
        };
        let prices = prices.get(model).ok_or_else(|| {
            usage(format!(
                "--max-cost needs the prices of {model}: a table [prices.\"{model}\"] in the file that `cx-operator config path` names"
            ))
        })?;
        budget.cost = Some((limit, *prices));
        Ok(budget)
    }
}

/// An amount of money that something can be bought for.
fn amount(text: &str) -> Result<Usd, String> {
    match text.parse() {
        Ok(amount) if amount == Usd::default() => Err("it must be more than nothing".to_owned()),
        parsed => parsed.map_err(str::to_owned),
    }
}
