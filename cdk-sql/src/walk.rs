//! The pieces of a plan, found one by one while earlier ones are read.

use std::collections::VecDeque;
use std::sync::Arc;

use cdk_core::{Partitions, Result};
use futures::stream;

use crate::dialect::{Dialect, Extent};
use crate::plan::{Piece, Plan};
use crate::state::{StateType, TableState};
use crate::table::Column;

/// Ranges that are left to read.
pub(crate) enum Left {
    /// By place, from this unit on.
    Places { extent: Extent, from: u64 },
    /// By key or cursor, behind these texts; up to `to`, if the end is known.
    Values {
        columns: Vec<Column>,
        after: Option<Vec<String>>,
        to: Option<Vec<String>>,
        is_cursor: bool,
    },
    /// In one go.
    Whole,
    /// All is queued.
    Nothing,
}

pub(crate) struct Walk<D: Dialect> {
    plan: Plan<D>,
    queue: VecDeque<(Vec<String>, TableState)>,
    left: Left,
    /// The state between pieces; only the position is added.
    template: TableState,
    /// The state behind the last piece.
    target: TableState,
}

impl<D: Dialect> Walk<D> {
    pub(crate) fn new(plan: Plan<D>, left: Left, template: TableState, target: TableState) -> Self {
        Self {
            plan,
            queue: VecDeque::new(),
            left,
            template,
            target,
        }
    }

    /// A piece before the ranges.
    pub(crate) fn queue(&mut self, conditions: Vec<String>, state: TableState) {
        self.queue.push_back((conditions, state));
    }

    /// The same for a range of places, of which only rows that fulfil `conditions` are read.
    pub(crate) fn queue_places(&mut self, from: u64, to: u64, mut conditions: Vec<String>) {
        conditions.push(self.plan.dialect.within(from, Some(to)));
        let state = self.at_place(to);
        self.queue(conditions, state);
    }

    pub(crate) fn partitions(self) -> Partitions<Piece<D>> {
        Partitions::lazy(stream::try_unfold(self, |mut walk| async move {
            Ok(walk.next().await?.map(|piece| (piece, walk)))
        }))
    }

    async fn next(&mut self) -> Result<Option<Piece<D>>> {
        if let Some((conditions, state)) = self.queue.pop_front() {
            return Ok(Some(self.piece(conditions, state)));
        }
        let (conditions, state) = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => return Ok(None),
            Left::Whole => (Vec::new(), self.target.clone()),
            Left::Places { extent, from } => self.next_places(extent, from),
            Left::Values {
                columns,
                after,
                to,
                is_cursor,
            } => {
                self.next_values(columns, after.as_deref(), to, is_cursor)
                    .await?
            }
        };
        Ok(Some(self.piece(conditions, state)))
    }

    fn next_places(&mut self, extent: Extent, from: u64) -> (Vec<String>, TableState) {
        let to = from + extent.step.max(1);
        if to >= extent.units {
            // Open to the end: rows may have been added behind it meanwhile.
            return (
                vec![self.plan.dialect.within(from, None)],
                self.target.clone(),
            );
        }
        let state = self.at_place(to);
        self.left = Left::Places { extent, from: to };
        (vec![self.plan.dialect.within(from, Some(to))], state)
    }

    async fn next_values(
        &mut self,
        columns: Vec<Column>,
        after: Option<&[String]>,
        to: Option<Vec<String>>,
        is_cursor: bool,
    ) -> Result<(Vec<String>, TableState)> {
        let bound = match self.plan.is_cut(&columns, is_cursor) {
            true => self.plan.bound(&columns, after, to.as_deref()).await?,
            false => None,
        };
        let Some(bound) = bound else {
            return Ok((
                self.plan.range(&columns, after, to.as_deref()),
                self.target.clone(),
            ));
        };
        let conditions = self.plan.range(&columns, after, Some(&bound));
        let mut state = self.template.clone();
        match is_cursor {
            true => state.cursor = bound.first().cloned(),
            false => {
                state.pk_names = columns.iter().map(|column| column.name.clone()).collect();
                state.pk_values.clone_from(&bound);
            }
        }
        self.left = Left::Values {
            columns,
            after: Some(bound),
            to,
            is_cursor,
        };
        Ok((conditions, state))
    }

    fn at_place(&self, unit: u64) -> TableState {
        debug_assert_eq!(self.template.state_type, StateType::Ctid);
        TableState {
            ctid: Some(format!("({unit},0)")),
            ..self.template.clone()
        }
    }

    fn piece(&self, conditions: Vec<String>, state: TableState) -> Piece<D> {
        Piece {
            snapshot: Arc::clone(&self.plan.snapshot),
            conditions,
            state,
        }
    }
}
