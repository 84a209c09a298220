//! `check` with configs that can't work.

use serde_json::{Value, json};

use crate::support::{CONNECTORS, Desk, messages};

/// A config that breaks the connector's spec, one that fits it but not the world, where there is such
/// a thing, and what the message must name.
fn bad_configs(connector: &str) -> Vec<(Value, &'static str)> {
    let faults = json!({"test_destination": {"test_destination_type": "NONE"}});
    match connector {
        "source-declarative-manifest" => vec![
            (json!({}), "__injected_declarative_manifest"),
            (
                json!({"__injected_declarative_manifest": {"version": "6.0.0", "streams": []}}),
                "`check`",
            ),
        ],
        "source-faker" => vec![(json!({"count": -1}), "count")],
        "source-file" => vec![
            (json!({"url": 5}), "url"),
            (
                json!({"dataset_name": "a", "format": "csv", "url": "missing.csv",
                    "provider": {"storage": "local"}}),
                "missing.csv",
            ),
        ],
        "source-mysql" => vec![
            (json!({"host": 5}), "host"),
            (
                json!({"host": "127.0.0.1", "port": 1, "username": "u", "database": "d"}),
                "127.0.0.1:1",
            ),
        ],
        "source-pokeapi" => vec![
            (json!({"page_size": "many"}), "page_size"),
            // Nothing listens at the port of tcpmux.
            (json!({"base_url": "http://127.0.0.1:1"}), "127.0.0.1:1"),
        ],
        "source-postgres" => {
            let config =
                |port| json!({"host": "127.0.0.1", "port": port, "database": "d", "username": "u"});
            vec![
                (config(json!("high")), "port"),
                // Nobody listens on the port for multiplexers.
                (config(json!(1)), "127.0.0.1:1"),
            ]
        }
        "source-rest-api" => {
            let config =
                |url| json!({"url_base": url, "endpoints": [{"name": "items", "path": "/items"}]});
            vec![
                (config(json!(5)), "url_base"),
                (config(json!("http://127.0.0.1:1")), "127.0.0.1:1"),
            ]
        }
        "destination-dev-null" => vec![(faults, "test_destination")],
        "destination-local" => vec![
            (json!({}), "destination_path"),
            (json!({"destination_path": "a-file/out"}), "a-file"),
        ],
        "destination-postgres" => vec![
            (json!({"host": 5}), "host"),
            // Nothing listens at the port of tcpmux.
            (
                json!({"host": "127.0.0.1", "port": 1, "database": "d", "username": "u"}),
                "`port`",
            ),
        ],
        "destination-s3" => vec![
            (
                json!({"s3_bucket_path": "x", "format": {"format_type": "Avro"}}),
                "s3_bucket_name",
            ),
            (
                json!({"s3_bucket_name": "b", "s3_bucket_path": "x", "format": {"format_type": "Avro"},
                    "access_key_id": "a", "secret_access_key": "b", "s3_endpoint": "http://127.0.0.1:9"}),
                "s3_endpoint",
            ),
        ],
        "destination-sqlite" => vec![
            (json!({"path": 5}), "path"),
            (json!({"path": "missing/out.sqlite"}), "missing"),
        ],
        other => panic!("no bad config for {other}"),
    }
}

#[test]
fn a_failed_check_is_an_answer_and_exits_with_0() {
    for connector in CONNECTORS {
        for (config, named) in bad_configs(connector) {
            let desk = Desk::new();
            desk.write("config.json", &config);
            desk.write("a-file", &json!("in the way of a directory"));
            let output = desk.run(connector, &["check", "--config", "config.json"]);
            let messages = messages(&output.stdout);
            let status = messages
                .iter()
                .find(|message| message["type"] == "CONNECTION_STATUS");
            let status = status.unwrap_or_else(|| panic!("{connector} {config}: {messages:?}"));
            let status = &status["connectionStatus"];
            assert_eq!(status["status"], "FAILED", "{connector} {config}");
            let said = status["message"].as_str().unwrap();
            assert!(said.contains(named), "{connector} {config}: {said}");
            assert_eq!(output.status.code(), Some(0), "{connector} {config}");
        }
    }
}

#[test]
fn a_missing_config_file_is_named() {
    for connector in CONNECTORS {
        let output = Desk::new().run(connector, &["check", "--config", "nowhere.json"]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains("nowhere.json"), "{connector}: {said}");
    }
}
