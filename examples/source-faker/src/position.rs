//! Where a read of a stream stands: its state.

use cdk_core::{ConnectorError, Result};
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// The state of a stream: everything up to and including this row was read.
///
/// `updated_at` grows with `id`, so `id` alone says where to go on; `updated_at` is there for readers that
/// look for the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) updated_at: Timestamp,
    pub(crate) id: i64,
    pub(crate) seed: i64,
    /// With `always_updated`, how many rows the round has: a state below it is one of an interrupted
    /// round, which goes on; the others start a new round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<i64>,
}

/// What one run reads: the rows after `after` up to `rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) after: i64,
    pub(crate) rows: i64,
    /// What `updated_at` is for all rows of a round; without it rows have their own.
    pub(crate) round: Option<Timestamp>,
}

impl Plan {
    /// What is left to read after `saved`. `now` is `Some` when everything is emitted again each time.
    ///
    /// A state of another seed is a config error: going on would mix rows of both under the same keys.
    pub(crate) fn new(
        saved: Option<&Position>,
        seed: i64,
        rows: i64,
        now: Option<Timestamp>,
    ) -> Result<Self> {
        let Some(saved) = saved else {
            return Ok(Self {
                after: 0,
                rows,
                round: now,
            });
        };
        if saved.seed != seed {
            return Err(ConnectorError::config(format!(
                "The saved state belongs to seed {}, the config says {seed}, which makes other rows of \
                 the same ids. Set `seed` back, or reset the stream to read it from the start.",
                saved.seed
            )));
        }
        let Some(now) = now else {
            return Ok(Self {
                after: saved.id.max(0),
                rows,
                round: None,
            });
        };
        let is_interrupted = saved.rows.is_some_and(|rows| saved.id < rows);
        Ok(match is_interrupted {
            true => Self {
                after: saved.id.max(0),
                rows,
                round: Some(saved.updated_at),
            },
            false => Self {
                after: 0,
                rows,
                round: Some(now),
            },
        })
    }

    /// The state after the row `id` with its `updated_at`.
    pub(crate) fn position(&self, id: i64, updated_at: Timestamp, seed: i64) -> Position {
        Position {
            updated_at,
            id,
            seed,
            rows: self.round.map(|_| self.rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Timestamp = Timestamp::from_ms(1);
    const NOW: Timestamp = Timestamp::from_ms(2);

    fn saved(id: i64, rows: Option<i64>) -> Position {
        Position {
            updated_at: EARLY,
            id,
            seed: 7,
            rows,
        }
    }

    #[test]
    fn reads_on_after_the_saved_row() {
        let plan = Plan::new(Some(&saved(40, None)), 7, 100, None).unwrap();
        assert_eq!(
            plan,
            Plan {
                after: 40,
                rows: 100,
                round: None
            }
        );
    }

    #[test]
    fn an_interrupted_round_goes_on_under_its_own_time() {
        let plan = Plan::new(Some(&saved(40, Some(100))), 7, 100, Some(NOW)).unwrap();
        assert_eq!(
            plan,
            Plan {
                after: 40,
                rows: 100,
                round: Some(EARLY)
            }
        );
    }

    #[test]
    fn a_finished_round_is_followed_by_a_new_one() {
        for rows in [Some(100), None] {
            let plan = Plan::new(Some(&saved(100, rows)), 7, 200, Some(NOW)).unwrap();
            assert_eq!(
                plan,
                Plan {
                    after: 0,
                    rows: 200,
                    round: Some(NOW)
                }
            );
        }
    }

    #[test]
    fn a_state_of_another_seed_is_refused() {
        let error = Plan::new(Some(&saved(40, None)), 8, 100, None).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("The saved state belongs to seed 7"),
            "{error}"
        );
    }
}
