//! For every rule about destinations, a destination that breaks it.

use cdk_testkit::suite::{Call, Ended};
use serde_json::json;

use crate::destination::Tables;
use crate::edit::{Output, Spoil};

/// What is wrong with a destination.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// With what it prints.
    pub(crate) spoil: Spoil,
    /// With what it holds after a run.
    pub(crate) corrupt: fn(&Call, &Tables, &mut Tables),
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            spoil: |_, _| {},
            corrupt: |_, _, _| {},
        }
    }
}

/// One fault a rule.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, Fault)> {
    let printed = PRINTED.iter().map(|(rule, spoil)| {
        let fault = Fault {
            spoil: *spoil,
            ..Fault::default()
        };
        (*rule, fault)
    });
    let held = HELD.iter().map(|(rule, corrupt)| {
        let fault = Fault {
            corrupt: *corrupt,
            ..Fault::default()
        };
        (*rule, fault)
    });
    printed.chain(held)
}

fn fails_at(call: &Call, output: &mut Output, part: &str) {
    if call.label.contains(part) {
        output.fail();
    }
}

const PRINTED: &[(&str, Spoil)] = &[
    ("spec.destination-modes", |_, output| {
        output.edit("SPEC", |message| {
            message["spec"]["supported_destination_sync_modes"] = json!([])
        });
    }),
    ("write.append", |call, output| {
        fails_at(call, output, "write (append)")
    }),
    ("write.overwrite", |call, output| {
        fails_at(call, output, "overwrite, again")
    }),
    ("write.dedup", |call, output| {
        fails_at(call, output, "write (dedup)")
    }),
    ("write.refresh", |call, output| {
        fails_at(call, output, "removes older generations")
    }),
    ("write.odd-names", |call, output| {
        fails_at(call, output, "odd names")
    }),
    ("write.odd-values", |call, output| {
        fails_at(call, output, "odd values")
    }),
    ("write.namespaces", |call, output| {
        fails_at(call, output, "two namespaces")
    }),
    ("write.new-column", |call, output| {
        fails_at(call, output, "a new column")
    }),
    ("write.new-type", |call, output| {
        fails_at(call, output, "changes its type")
    }),
    ("write.no-records", |call, output| {
        fails_at(call, output, "no records")
    }),
    ("write.many-streams", |call, output| {
        fails_at(call, output, "many streams")
    }),
    ("write.states-come-back", |_, output| {
        output
            .lines
            .truncate(output.lines.len().saturating_sub(1).max(1));
    }),
    ("write.states-in-order", |call, output| {
        if call.verb == "write" {
            output.lines.reverse();
        }
    }),
    ("write.states-unchanged", |_, output| {
        output.edit("STATE", |message| {
            message["state"].as_object_mut().unwrap().shift_remove("id");
        });
    }),
    ("write.counts", |_, output| {
        output.edit_last("STATE", |message| {
            message["state"]["destinationStats"]["recordCount"] = json!(99.0)
        });
    }),
    ("write.global-states", |call, output| {
        if call.label.contains("all streams together") {
            output.lines.pop();
        }
    }),
    ("write.unknown-stream", |call, output| {
        succeeds_at(call, output, "not in the catalog")
    }),
    ("write.unknown-mode", |call, output| {
        succeeds_at(call, output, "which it does not have")
    }),
    ("write.garbage", |call, output| {
        if call.label.contains("no message") {
            output.lines.clear();
        }
    }),
];

fn succeeds_at(call: &Call, output: &mut Output, part: &str) {
    if call.label.contains(part) {
        output.lines.clear();
        output.ended = Ended::Exit(0);
    }
}

/// Changes the rows of the streams whose names hold this.
fn tables_of<'a>(
    tables: &'a mut Tables,
    part: &'static str,
) -> impl Iterator<Item = &'a mut Vec<crate::destination::Row>> {
    tables
        .iter_mut()
        .filter(move |((_, name), _)| name.contains(part))
        .map(|(_, rows)| rows)
}

type Corrupt = fn(&Call, &Tables, &mut Tables);

const HELD: &[(&str, Corrupt)] = &[
    ("rows.append", |_, _, after| {
        tables_of(after, "_append")
            .for_each(|rows| rows.dedup_by_key(|row| row.data["id"].clone()));
    }),
    ("rows.overwrite", |_, before, after| {
        for (name, rows) in before
            .iter()
            .filter(|((_, name), _)| name.ends_with("_overwrite"))
        {
            after.get_mut(name).unwrap().extend(rows.iter().cloned());
        }
    }),
    ("rows.overwrite-is-atomic", |call, _, after| {
        if call.label.contains("does not complete") {
            tables_of(after, "_overwrite").for_each(Vec::clear);
        }
    }),
    ("rows.dedup", |call, _, after| {
        if call.label.contains("dedup, again") {
            tables_of(after, "_dedup").for_each(|rows| rows[1].data["name"] = json!("too old"));
        }
    }),
    ("rows.refresh", |_, before, after| {
        for (name, rows) in before
            .iter()
            .filter(|((_, name), _)| name.ends_with("_refresh"))
        {
            after.get_mut(name).unwrap().extend(rows.iter().cloned());
        }
    }),
    ("rows.durable-before-state", |call, _, after| {
        if call.label.contains("killed") {
            tables_of(after, "_killed").for_each(|rows| rows.truncate(100));
        }
    }),
    ("rows.namespaces", |_, _, after| {
        let all: Vec<_> = tables_of(after, "_twins")
            .flat_map(|rows| rows.clone())
            .collect();
        tables_of(after, "_twins").for_each(|rows| *rows = all.clone());
    }),
    ("rows.odd-names", |_, _, after| {
        tables_of(after, "with space").for_each(Vec::clear)
    }),
    ("rows.odd-values", |_, _, after| {
        tables_of(after, "_values").flatten().for_each(|row| {
            // What a float makes of it.
            if row.data["id"] == i64::MAX {
                row.data["id"] = json!(9.223_372_036_854_776e18);
            }
        });
    }),
    ("rows.schema-changes", |call, _, after| {
        if call.label.contains("(a column changes") {
            tables_of(after, "_new_type").for_each(|rows| rows.retain(|row| row.data["id"] != 1));
        }
    }),
];
