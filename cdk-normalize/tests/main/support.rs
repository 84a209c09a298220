//! Plans a schema and prints tables and rows as text.

use std::sync::Arc;

use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode};
use cdk_core::destination::columns::Cell;
use cdk_normalize::{Flattener, Mode, Names, Plan, RawRow, Role, Settings, plan};
use serde_json::{Value, json};

pub(crate) fn stream(name: &str, properties: &Value) -> ConfiguredAirbyteStream {
    let schema = json!({"type": "object", "properties": properties});
    let stream = AirbyteStream::new(name, schema, vec![SyncMode::FullRefresh]);
    ConfiguredAirbyteStream::new(stream, SyncMode::FullRefresh, DestinationSyncMode::Append)
}

pub(crate) fn planned(name: &str, properties: &Value, settings: &Settings) -> Plan {
    let mut plans = plan::of(&[stream(name, properties)], settings, &Names::POSTGRES);
    plans.remove(0)
}

/// The guide's stream.
pub(crate) fn customers() -> Value {
    let text = || json!({"type": "string"});
    json!({
        "id": {"type": "integer"},
        "name": text(),
        "contact": {"type": ["null", "object"], "properties": {"email": text(), "phone": text()}},
        "addresses": {"type": "array", "items": {"type": "object", "properties": {
            "type": text(), "city": text()}}},
    })
}

/// `table(column, …)` of each table.
pub(crate) fn shapes(plan: &Plan) -> Vec<String> {
    let tables = plan.tables.iter().map(|table| {
        let layout = table.layout(plan.mode);
        let names: Vec<_> = layout.into_iter().map(|(name, _)| name).collect();
        format!("{}({})", table.name, names.join(", "))
    });
    tables.collect()
}

/// A row with the name of its table: values of the record, and the two ids.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Printed {
    pub(crate) table: String,
    pub(crate) parent: Option<String>,
    pub(crate) hashid: String,
    pub(crate) values: Vec<(String, String)>,
}

impl Printed {
    /// The values, without those that are null.
    pub(crate) fn text(&self) -> String {
        let values = self.values.iter().filter(|(_, value)| value != "NULL");
        let values: Vec<_> = values
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{}: {}", self.table, values.join(" "))
    }
}

pub(crate) fn rows(plan: &Plan, data: &Value) -> (Vec<Printed>, Flattener) {
    let plan = Arc::new(plan.clone());
    let mut flattener = Flattener::new(Arc::clone(&plan));
    let mut printed = Vec::new();
    let text = data.to_string();
    let row = RawRow {
        id: "raw-1",
        data: &text,
    };
    let done = flattener.record(row, &mut |row| {
        let table = &plan.tables[row.table];
        let fields = table.layout(plan.mode).into_iter();
        let values = fields.filter_map(|(name, role)| match role {
            Role::Field(at) => Some((name.to_owned(), shown(&row.cells[at]))),
            _ => None,
        });
        printed.push(Printed {
            table: table.name.clone(),
            parent: row.parent_hashid.map(str::to_owned),
            hashid: row.hashid.to_owned(),
            values: values.collect(),
        });
        Ok(())
    });
    done.unwrap();
    (printed, flattener)
}

pub(crate) fn texts(rows: &[Printed]) -> Vec<String> {
    rows.iter().map(Printed::text).collect()
}

fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Integer(value) => value.to_string(),
        Cell::BigInteger(text) | Cell::Text(text) => text.to_string(),
        Cell::Number(text) | Cell::Json(text) => (*text).to_owned(),
        Cell::NonFinite(value) => value.as_str().to_owned(),
    }
}

pub(crate) fn guide() -> Settings {
    Settings::of_mode(Mode::Guide)
}
