//! Which state may be released: partitions run in parallel, state moves only over the contiguous finished ones.

use std::collections::BTreeMap;

use airbyte_protocol::RawJson;

/// Partitions are numbered from 0 in the order in which state moves over them.
///
/// A checkpoint of partition `n` describes the stream as if all partitions before `n` were finished;
/// it is held until they are. Of several held ones in a row only the newest is kept, so memory is
/// bounded by the number of partitions in flight.
#[derive(Debug, Default)]
pub(crate) struct PartitionTracker {
    /// The first partition that is not finished.
    frontier: u64,
    /// Checkpoints of unfinished partitions behind the frontier.
    open: BTreeMap<u64, RawJson>,
    /// Runs of finished partitions behind the frontier: first → (one past the last, newest state).
    runs: BTreeMap<u64, (u64, Option<RawJson>)>,
}

impl PartitionTracker {
    /// A checkpoint inside `partition`; returns the state if it may be released now.
    pub(crate) fn checkpoint(&mut self, partition: u64, state: RawJson) -> Option<RawJson> {
        if partition == self.frontier {
            return Some(state);
        }
        self.open.insert(partition, state);
        None
    }

    /// `partition` is finished, with its last checkpoint; returns the newest state that may be released now.
    pub(crate) fn finish(&mut self, partition: u64, state: Option<RawJson>) -> Option<RawJson> {
        let held = self.open.remove(&partition);
        let state = state.or(held);
        if partition != self.frontier {
            self.remember_run(partition, state);
            return None;
        }
        self.frontier += 1;
        let mut newest = state;
        if let Some((end, state)) = self.runs.remove(&self.frontier) {
            self.frontier = end;
            newest = state.or(newest);
        }
        self.open.remove(&self.frontier).or(newest)
    }

    /// Adds a finished partition to the runs it touches.
    fn remember_run(&mut self, partition: u64, state: Option<RawJson>) {
        let before = self.runs.range(..partition).next_back();
        let before = before
            .filter(|(_, (end, _))| *end == partition)
            .map(|(start, _)| *start);
        let (start, mut newest) = match before.and_then(|start| self.runs.remove_entry(&start)) {
            Some((start, (_, older))) => (start, state.or(older)),
            None => (partition, state),
        };
        let mut end = partition + 1;
        if let Some((next_end, newer)) = self.runs.remove(&end) {
            end = next_end;
            newest = newer.or(newest);
        }
        self.runs.insert(start, (end, newest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(n: u64) -> RawJson {
        RawJson::from_serialize(&n).unwrap()
    }

    #[test]
    fn a_later_partition_waits_for_the_earlier_ones() {
        let mut tracker = PartitionTracker::default();
        assert_eq!(tracker.checkpoint(1, state(1)), None);
        assert_eq!(tracker.finish(2, Some(state(2))), None);
        assert_eq!(tracker.checkpoint(0, state(0)), Some(state(0)));
        // Partition 1 is still open: its held checkpoint is the newest state that is covered.
        assert_eq!(tracker.finish(0, None), Some(state(1)));
        assert_eq!(tracker.finish(1, None), Some(state(2)));
    }

    #[test]
    fn a_partition_without_checkpoint_moves_the_frontier_silently() {
        let mut tracker = PartitionTracker::default();
        assert_eq!(tracker.finish(0, None), None);
        assert_eq!(tracker.checkpoint(1, state(1)), Some(state(1)));
    }

    proptest! {
        /// Whatever the order of finishing, a released state covers only finished partitions, states
        /// never go back, and the last one is that of the last partition.
        #[test]
        fn released_states_cover_only_contiguous_finished_partitions(
            order in Just((0..40u64).collect::<Vec<_>>()).prop_shuffle()
        ) {
            let mut tracker = PartitionTracker::default();
            let mut finished = [false; 40];
            let mut newest = None;
            for partition in order {
                finished[partition as usize] = true;
                if let Some(released) = tracker.finish(partition, Some(state(partition))) {
                    let covers: u64 = released.parse_as().unwrap();
                    prop_assert!(finished[..=covers as usize].iter().all(|done| *done));
                    prop_assert!(newest.is_none_or(|before| before < covers));
                    newest = Some(covers);
                }
            }
            prop_assert_eq!(newest, Some(39));
            prop_assert!(tracker.runs.is_empty() && tracker.open.is_empty());
        }
    }
}
