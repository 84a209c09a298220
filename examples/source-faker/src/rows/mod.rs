//! The rows, each a pure function of seed and id. Ids count from 1.
//!
//! Every stream's rows are ordered: `updated_at` grows strictly with the id, and neither depends on how many
//! rows there are. A bench can insert the very rows that the source emits:
//!
//! ```
//! use source_faker::rows;
//!
//! let (seed, users) = (-1, 1000);
//! let adults = (1..=users).map(|id| rows::user(seed, id)).filter(|user| user.age >= 18).count();
//! let purchases = (1..=rows::purchase_count(seed, users)).map(|id| rows::purchase(seed, id));
//! assert!(adults > 900);
//! assert!(purchases.map(|purchase| purchase.user_id).is_sorted());
//! ```

mod product;
mod purchase;
mod user;
mod words;

pub use product::{PRODUCT_COUNT, Product, product};
pub use purchase::{Purchase, purchase, purchase_count};
pub use user::{Address, User, user};

use crate::timestamp::Timestamp;

/// 2020-01-01, when everything begins.
pub(crate) const START: Timestamp = Timestamp::from_ms(1_577_836_800_000);

const DAY_MS: i64 = 86_400_000;

/// What keeps the random numbers of the streams apart.
#[derive(Clone, Copy)]
enum Purpose {
    User,
    Product,
    Purchase,
    PurchaseShares,
}
