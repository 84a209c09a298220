//! Products: the same 100 for everyone.

use schemars::JsonSchema;
use serde::Serialize;

use crate::random::Random;
use crate::rows::words::CARS;
use crate::rows::{DAY_MS, Purpose, START};
use crate::timestamp::Timestamp;

/// How many products there are.
pub const PRODUCT_COUNT: i64 = (CARS.len() * MODELS) as i64;

const MODELS: usize = 5;

/// A product: a car that nobody ever built.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Product {
    /// Primary key, 1 to [`PRODUCT_COUNT`].
    pub id: i64,
    /// Who builds it.
    pub make: &'static str,
    /// Its name.
    pub model: &'static str,
    /// Model year, 1990 to 2019.
    pub year: u32,
    /// In units with two decimals.
    pub price: f64,
    /// When it was listed, before `updated_at`.
    pub created_at: Timestamp,
    /// Cursor: grows by a minute with each product.
    pub updated_at: Timestamp,
}

/// The product `id`, whatever the seed; ids beyond [`PRODUCT_COUNT`] start over with the first car.
pub fn product(id: i64) -> Product {
    let mut random = Random::of(0, Purpose::Product as u64, id);
    let place = (id - 1).rem_euclid(PRODUCT_COUNT) as usize;
    let (make, models) = CARS[place / MODELS];
    let updated_at = START.plus_ms((id - 1) * 60_000);
    Product {
        id,
        make,
        model: models[place % MODELS],
        year: random.between(1990..=2019),
        price: f64::from(random.between(450_000..=14_999_999)) / 100.0,
        created_at: updated_at.plus_ms(-i64::from(random.between(1..=365)) * DAY_MS),
        updated_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_100_different_cars() {
        let cars = (1..=PRODUCT_COUNT)
            .map(product)
            .map(|car| (car.make, car.model));
        let different: std::collections::HashSet<_> = cars.collect();
        assert_eq!(different.len(), 100);
    }
}
