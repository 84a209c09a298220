//! Purchases: one to five per user, in the order of the users.

use schemars::JsonSchema;
use serde::Serialize;

use crate::random::Random;
use crate::rows::{DAY_MS, PRODUCT_COUNT, Purpose, START};
use crate::timestamp::Timestamp;

/// A product in a user's cart, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Purchase {
    /// Primary key, from 1.
    pub id: i64,
    /// The [`Product`](crate::rows::Product).
    pub product_id: i64,
    /// The [`User`](crate::rows::User); never falls from one purchase to the next.
    pub user_id: i64,
    /// When it was put into the cart.
    pub added_to_cart_at: Timestamp,
    /// When it was paid, for nine out of ten.
    pub purchased_at: Option<Timestamp>,
    /// When it was sent back, for one in ten of the paid ones.
    pub returned_at: Option<Timestamp>,
    /// The same as `added_to_cart_at`.
    pub created_at: Timestamp,
    /// Cursor: grows by about half a second with each purchase.
    pub updated_at: Timestamp,
}

/// So many users in a row…
const BLOCK_USERS: i64 = 4;
/// …share so many purchases: the shares are random, the sum is not, and any purchase's user can be found
/// without counting from the start.
const BLOCK_PURCHASES: i64 = 8;

/// How many purchases the first `users` users of `seed` make.
pub fn purchase_count(seed: i64, users: i64) -> i64 {
    let (block, rest) = (users / BLOCK_USERS, users % BLOCK_USERS);
    let shares = shares(seed, block);
    let partial: i64 = shares.iter().zip(0..rest).map(|(share, _)| *share).sum();
    block * BLOCK_PURCHASES + partial
}

/// The purchase `id` of `seed`.
pub fn purchase(seed: i64, id: i64) -> Purchase {
    let mut random = Random::of(seed, Purpose::Purchase as u64, id);
    let updated_at = START.plus_ms((id - 1) * 500 + i64::from(random.below(500)));
    // 30 to 90 days ago, and so after the user was created.
    let days_ago = -i64::from(random.between(30..=89)) * DAY_MS;
    let added_to_cart_at = updated_at.plus_ms(days_ago - i64::from(random.below(DAY_MS as u32)));
    let later = |random: &mut Random, from: Timestamp, days: u32| {
        from.plus_ms(i64::from(random.between(60_000..=days * DAY_MS as u32)))
    };
    let purchased_at = random
        .chance(90)
        .then(|| later(&mut random, added_to_cart_at, 5));
    let is_returned = random.chance(10);
    let returned_at = purchased_at
        .filter(|_| is_returned)
        .map(|paid| later(&mut random, paid, 20));
    Purchase {
        id,
        product_id: 1 + i64::from(random.below(PRODUCT_COUNT as u32)),
        user_id: buyer(seed, id),
        added_to_cart_at,
        purchased_at,
        returned_at,
        created_at: added_to_cart_at,
        updated_at,
    }
}

fn buyer(seed: i64, id: i64) -> i64 {
    let (block, mut place) = ((id - 1) / BLOCK_PURCHASES, (id - 1) % BLOCK_PURCHASES);
    let mut user = block * BLOCK_USERS + 1;
    for share in shares(seed, block) {
        if place < share {
            break;
        }
        place -= share;
        user += 1;
    }
    user
}

/// The purchases of each user of a block: one each, and the rest by lot.
fn shares(seed: i64, block: i64) -> [i64; BLOCK_USERS as usize] {
    let mut random = Random::of(seed, Purpose::PurchaseShares as u64, block);
    let mut shares = [1; BLOCK_USERS as usize];
    for _ in BLOCK_USERS..BLOCK_PURCHASES {
        shares[random.below(BLOCK_USERS as u32) as usize] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::user;

    #[test]
    fn every_user_makes_one_to_five_purchases_and_the_count_agrees() {
        for users in [0, 1, 2, 3, 4, 5, 1001] {
            let count = purchase_count(9, users);
            let mut made = vec![0; users as usize];
            (1..=count).for_each(|id| made[purchase(9, id).user_id as usize - 1] += 1);
            assert!(
                made.iter().all(|made| (1..=5).contains(made)),
                "{users} users: {made:?}"
            );
            assert_eq!(purchase(9, count + 1).user_id, users + 1);
        }
    }

    #[test]
    fn the_dates_of_a_purchase_are_in_order() {
        for id in 1..=5000 {
            let purchase = purchase(1, id);
            let dates = [
                Some(user(1, purchase.user_id).created_at),
                Some(purchase.created_at),
                Some(purchase.added_to_cart_at),
                purchase.purchased_at,
                purchase.returned_at,
                Some(purchase.updated_at),
            ];
            assert!(dates.iter().flatten().is_sorted(), "{purchase:?}");
            assert!(purchase.returned_at.is_none() || purchase.purchased_at.is_some());
        }
    }

    #[test]
    fn the_cursor_grows_strictly_with_the_id() {
        let mut cursors = (1..=10_000).map(|id| purchase(3, id).updated_at);
        assert!(cursors.by_ref().is_sorted_by(|a, b| a < b));
    }
}
