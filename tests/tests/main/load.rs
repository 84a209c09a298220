//! A source piped into each destination, as a platform does it.

use std::fs::File;

use serde_json::{Value, json};

use crate::support::{Desk, faker_catalog, messages};

#[test]
fn every_destination_gives_the_last_state_back_with_exact_counts() {
    for (destination, config) in [
        ("destination-dev-null", json!({})),
        ("destination-local", json!({"destination_path": "out"})),
        ("destination-sqlite", json!({"path": "out.sqlite"})),
    ] {
        let desk = Desk::new();
        desk.write("source.json", &json!({"count": 500}));
        desk.write("destination.json", &config);
        desk.write("catalog.json", &faker_catalog("users", "append"));
        let read = [
            "read",
            "--config",
            "source.json",
            "--catalog",
            "catalog.json",
        ];
        let source = desk.run("source-faker", &read);
        std::fs::write(desk.path("messages"), &source.stdout).unwrap();

        let write = [
            "write",
            "--config",
            "destination.json",
            "--catalog",
            "catalog.json",
        ];
        let mut command = desk.command(destination, &write);
        command.stdin(File::open(desk.path("messages")).unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{destination}: {output:?}");
        let states = |stdout: &[u8]| -> Vec<Value> {
            let messages = messages(stdout).into_iter();
            let states = messages.filter(|message| message["type"] == "STATE");
            states.map(|message| message["state"].clone()).collect()
        };
        let (sent, given) = (states(&source.stdout), states(&output.stdout));
        let of = |state: Option<&Value>| state.map(|state| state["stream"].clone());
        assert_eq!(of(given.last()), of(sent.last()), "{destination}");
        let counts = given
            .iter()
            .map(|state| state["destinationStats"]["recordCount"].as_f64().unwrap());
        assert_eq!(counts.sum::<f64>(), 500.0, "{destination}");
    }
}
