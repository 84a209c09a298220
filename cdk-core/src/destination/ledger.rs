//! Which state may be given back: only when every earlier record it covers is durable.

use std::collections::{HashMap, VecDeque};

use airbyte_protocol::{
    AirbyteStateMessage, AirbyteStateStats, AirbyteStateType, StreamDescriptor,
};

use crate::destination::CommitStats;

/// Counts the records of each stream as they arrive and become durable, and holds states until then.
///
/// STREAM states wait for their own stream only, in the order received; GLOBAL and LEGACY states wait
/// for all streams. Every state is given back exactly once, as it came, with `destinationStats` added.
#[derive(Debug, Default)]
pub(crate) struct StateLedger {
    index: HashMap<StreamDescriptor, usize>,
    streams: Vec<StreamProgress>,
    /// States that wait for every stream.
    global: VecDeque<Pending>,
}

#[derive(Debug, Default)]
struct StreamProgress {
    received: u64,
    durable: u64,
    /// Records that states given back so far have reported.
    reported: u64,
    unreported: CommitStats,
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    message: AirbyteStateMessage,
    /// Records of each stream (or of the one stream) that must be durable first.
    needs: Vec<u64>,
}

impl StateLedger {
    /// A ledger for the streams of a catalog, in its order.
    pub(crate) fn new(streams: impl IntoIterator<Item = StreamDescriptor>) -> Self {
        let index: HashMap<_, _> = streams
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name, at))
            .collect();
        let mut ledger = Self::default();
        ledger
            .streams
            .resize_with(index.len(), StreamProgress::default);
        ledger.index = index;
        ledger
    }

    /// Records of a stream arrived.
    pub(crate) fn received(&mut self, stream: usize, rows: u64) {
        self.streams[stream].received += rows;
    }

    /// A state arrived; returns the states that may be given back now.
    pub(crate) fn state(&mut self, message: AirbyteStateMessage) -> Vec<AirbyteStateMessage> {
        let own = match (message.kind(), &message.stream) {
            (AirbyteStateType::Stream, Some(stream)) => {
                self.index.get(&stream.stream_descriptor).copied()
            }
            _ => None,
        };
        match own {
            Some(at) => {
                let stream = &mut self.streams[at];
                stream.pending.push_back(Pending {
                    message,
                    needs: vec![stream.received],
                });
            }
            None => {
                let needs = self.streams.iter().map(|stream| stream.received).collect();
                self.global.push_back(Pending { message, needs });
            }
        }
        self.release()
    }

    /// The first `rows` records of a stream are durable; returns the states that may be given back now.
    pub(crate) fn durable(
        &mut self,
        stream: usize,
        rows: u64,
        stats: CommitStats,
    ) -> Vec<AirbyteStateMessage> {
        let stream = &mut self.streams[stream];
        debug_assert!(rows <= stream.received && rows >= stream.durable);
        stream.durable = rows;
        stream.unreported.rejected_records += stats.rejected_records;
        stream.unreported.nulled_values += stats.nulled_values;
        self.release()
    }

    /// States that still wait.
    pub(crate) fn waiting(&self) -> usize {
        self.global.len()
            + self
                .streams
                .iter()
                .map(|stream| stream.pending.len())
                .sum::<usize>()
    }

    fn release(&mut self) -> Vec<AirbyteStateMessage> {
        let mut released = Vec::new();
        for stream in &mut self.streams {
            while stream
                .pending
                .front()
                .is_some_and(|first| first.needs[0] <= stream.durable)
            {
                let Some(Pending { message, needs }) = stream.pending.pop_front() else {
                    break;
                };
                let (records, stats) = stream.report(needs[0]);
                released.push(with_stats(message, records, stats));
            }
        }
        while self
            .global
            .front()
            .is_some_and(|first| self.covers(&first.needs))
        {
            let Some(Pending { message, needs }) = self.global.pop_front() else {
                break;
            };
            let (records, stats) = self.report(&message, &needs);
            released.push(with_stats(message, records, stats));
        }
        released
    }

    /// What a state that waited for all streams counts: the streams it names, or all if it names none.
    fn report(&mut self, message: &AirbyteStateMessage, needs: &[u64]) -> (u64, CommitStats) {
        let named = message
            .global
            .iter()
            .flat_map(|global| &global.stream_states);
        let own = message.stream.iter().chain(named);
        let named: Vec<_> = own
            .map(|stream| self.index.get(&stream.stream_descriptor))
            .collect();
        let (mut records, mut stats) = (0, CommitStats::default());
        for (at, (stream, needed)) in self.streams.iter_mut().zip(needs).enumerate() {
            if named.is_empty() || named.contains(&Some(&at)) {
                let (own, commit) = stream.report(*needed);
                records += own;
                stats.rejected_records += commit.rejected_records;
                stats.nulled_values += commit.nulled_values;
            }
        }
        (records, stats)
    }

    fn covers(&self, needs: &[u64]) -> bool {
        self.streams
            .iter()
            .zip(needs)
            .all(|(stream, needed)| stream.durable >= *needed)
    }
}

impl StreamProgress {
    /// Takes what was not reported yet of the first `rows` records.
    fn report(&mut self, rows: u64) -> (u64, CommitStats) {
        let records = rows.saturating_sub(self.reported);
        self.reported = self.reported.max(rows);
        (records, std::mem::take(&mut self.unreported))
    }
}

fn with_stats(
    mut message: AirbyteStateMessage,
    records: u64,
    commit: CommitStats,
) -> AirbyteStateMessage {
    let mut stats = AirbyteStateStats {
        record_count: Some(records as f64),
        ..Default::default()
    };
    if commit.rejected_records > 0 {
        stats.rejected_record_count = Some(commit.rejected_records as f64);
    }
    if commit.nulled_values > 0 {
        let nulled = [("nulledValueCount".to_owned(), commit.nulled_values as f64)];
        stats.additional_stats = Some(nulled.into_iter().collect());
    }
    message.destination_stats = Some(stats);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use airbyte_protocol::RawJson;
    use proptest::prelude::*;

    fn name(at: usize) -> StreamDescriptor {
        StreamDescriptor::new(["a", "b", "c"][at])
    }

    fn ledger() -> StateLedger {
        StateLedger::new((0..3).map(name))
    }

    fn own(at: usize, id: usize) -> AirbyteStateMessage {
        AirbyteStateMessage::stream(name(at), Some(RawJson::from_serialize(&id).unwrap()))
    }

    fn global(id: usize) -> AirbyteStateMessage {
        AirbyteStateMessage::global(Some(RawJson::from_serialize(&id).unwrap()), vec![])
    }

    fn id(state: &AirbyteStateMessage) -> usize {
        let own = state
            .stream
            .as_ref()
            .and_then(|stream| stream.stream_state.as_ref());
        let shared = state
            .global
            .as_ref()
            .and_then(|global| global.shared_state.as_ref());
        own.or(shared).unwrap().parse_as().unwrap()
    }

    #[test]
    fn a_state_of_one_stream_does_not_wait_for_another() {
        let mut ledger = ledger();
        ledger.received(0, 5);
        ledger.received(1, 5);
        assert!(ledger.state(own(0, 1)).is_empty());
        let released = ledger.durable(0, 5, CommitStats::default());
        assert_eq!(released.iter().map(id).collect::<Vec<_>>(), [1]);
        assert_eq!(
            released[0].destination_stats.as_ref().unwrap().record_count,
            Some(5.0)
        );
    }

    #[test]
    fn a_global_state_waits_for_every_stream() {
        let mut ledger = ledger();
        ledger.received(0, 1);
        ledger.received(1, 2);
        assert!(ledger.state(global(1)).is_empty());
        assert!(ledger.durable(1, 2, CommitStats::default()).is_empty());
        let released = ledger.durable(0, 1, CommitStats::default());
        assert_eq!(
            released[0].destination_stats.as_ref().unwrap().record_count,
            Some(3.0)
        );
    }

    #[test]
    fn a_state_without_records_is_given_back_at_once() {
        assert_eq!(ledger().state(own(2, 9)).len(), 1);
    }

    #[test]
    fn rejected_and_nulled_counts_reach_the_next_state() {
        let mut ledger = ledger();
        ledger.received(0, 4);
        ledger.state(own(0, 1));
        let stats = CommitStats {
            rejected_records: 2,
            nulled_values: 3,
        };
        let released = ledger.durable(0, 4, stats);
        let stats = released[0].destination_stats.as_ref().unwrap();
        assert_eq!(stats.rejected_record_count, Some(2.0));
        assert_eq!(
            stats.additional_stats.as_ref().unwrap()["nulledValueCount"],
            3.0
        );
    }

    #[derive(Debug, Clone)]
    enum Step {
        Receive(usize, u64),
        Own(usize),
        Global,
        /// Commit this share (0..=4 quarters) of what a stream still has open.
        Commit(usize, u64),
        /// The stream's loader fails: nothing of it becomes durable any more.
        Fail(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3usize, 1..20u64).prop_map(|(at, rows)| Step::Receive(at, rows)),
            2 => (0..3usize).prop_map(Step::Own),
            1 => Just(Step::Global),
            3 => (0..3usize, 0..=4u64).prop_map(|(at, share)| Step::Commit(at, share)),
            1 => (0..3usize).prop_map(Step::Fail),
        ]
    }

    proptest! {
        /// Over random interleavings of arrivals, flushes and failures of three streams: no state is
        /// released before every earlier record it covers is durable, each is released at most once,
        /// in order, and those whose records are all durable are released at once.
        #[test]
        fn no_state_is_released_before_its_records_are_durable(
            steps in proptest::collection::vec(step(), 1..200)
        ) {
            let mut ledger = ledger();
            let mut received = [0u64; 3];
            let mut durable = [0u64; 3];
            let mut failed = [false; 3];
            // What each state needs, by its id.
            let mut needs: Vec<(Option<usize>, [u64; 3])> = Vec::new();
            let mut released_ids = Vec::new();
            for step in steps {
                let released = match step {
                    Step::Receive(at, rows) => {
                        ledger.received(at, rows);
                        received[at] += rows;
                        vec![]
                    }
                    Step::Own(at) => {
                        needs.push((Some(at), received));
                        ledger.state(own(at, needs.len() - 1))
                    }
                    Step::Global => {
                        needs.push((None, received));
                        ledger.state(global(needs.len() - 1))
                    }
                    Step::Commit(at, _) if failed[at] => vec![],
                    Step::Commit(at, share) => {
                        durable[at] += (received[at] - durable[at]) * share / 4;
                        ledger.durable(at, durable[at], CommitStats::default())
                    }
                    Step::Fail(at) => {
                        failed[at] = true;
                        vec![]
                    }
                };
                let is_covered = |(of, needed): &(Option<usize>, [u64; 3])| match of {
                    Some(at) => durable[*at] >= needed[*at],
                    None => (0..3).all(|at| durable[at] >= needed[at]),
                };
                for state in &released {
                    prop_assert!(is_covered(&needs[id(state)]), "state ahead of its records");
                    released_ids.push(id(state));
                }
                let covered = (0..needs.len()).filter(|id| is_covered(&needs[*id])).count();
                prop_assert_eq!(covered, released_ids.len());
                prop_assert_eq!(ledger.waiting(), needs.len() - covered);
            }
            for of in [None, Some(0), Some(1), Some(2)] {
                let order: Vec<_> =
                    released_ids.iter().filter(|id| needs[**id].0 == of).collect();
                prop_assert!(order.is_sorted_by(|a, b| a < b), "out of order: {order:?}");
            }
        }
    }
}
