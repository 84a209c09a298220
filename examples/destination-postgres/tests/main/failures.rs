//! What fails, who must act, and that nothing is lost.

use airbyte_protocol::FailureType;
use cdk_testkit::StreamSpec;
use cdk_testkit::servers::postgres::PostgresServer;
use cdk_testkit::servers::proxy::FaultProxy;
use serde_json::json;

use crate::support::{Warehouse, row, small};

#[tokio::test]
async fn a_copy_that_the_server_refuses_fails_the_stream_and_releases_no_state() {
    let warehouse = Warehouse::new();
    let stream = small("append");
    warehouse.complete(&stream, &[row(1, 1, "a")]).await;
    warehouse.execute("ALTER TABLE t ADD CONSTRAINT short CHECK (length(v) < 5)");
    let other = StreamSpec {
        name: "other".to_owned(),
        ..small("append")
    };
    let messages = [
        stream.record(1, json!({"id": 2, "v": "far too long"})),
        stream.state(2),
        other.record(1, json!({"id": 1, "v": "far too long"})),
        other.state(1),
        stream.complete(),
        other.complete(),
    ];
    let ran = warehouse.write(&[&stream, &other], &messages).await;
    assert_eq!(ran.exit.code(), 1);
    let error = ran.error();
    assert_eq!(error.failure_type, Some(FailureType::ConfigError));
    assert!(
        error.message.contains("public.t") && error.message.contains("constraint"),
        "{}",
        error.message
    );
    assert!(
        !ran.text.contains("far too long"),
        "row values stay out of messages: {}",
        ran.text
    );
    assert_eq!(
        (ran.states_of("t").len(), ran.states_of("other").len()),
        (0, 1)
    );
    assert_eq!(warehouse.query("SELECT id FROM t"), ["1"]);
}

#[tokio::test]
async fn a_trigger_that_swallows_rows_fails_the_stream() {
    let warehouse = Warehouse::new();
    let stream = small("append");
    warehouse.complete(&stream, &[]).await;
    warehouse.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.id = 2 THEN RETURN NULL; END IF; \
         RETURN new; END $$; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    );
    let messages = [
        stream.record(1, json!({"id": 1})),
        stream.record(1, json!({"id": 2})),
        stream.state(2),
    ];
    let ran = warehouse.write(&[&stream], &messages).await;
    assert!(
        ran.error().message.contains("1 of 2 rows"),
        "{}",
        ran.error().message
    );
    assert_eq!(ran.states().len(), 0);
    assert_eq!(warehouse.value("SELECT count(*) FROM t"), "0");
}

#[tokio::test]
async fn a_lost_right_is_a_config_error() {
    let warehouse = Warehouse::new();
    let loader = format!("loader_{}", warehouse.database);
    warehouse.execute(&format!(
        "CREATE ROLE {loader} LOGIN; GRANT ALL ON DATABASE {} TO {loader}; GRANT ALL ON SCHEMA public TO {loader}",
        warehouse.database
    ));
    let warehouse = warehouse.with(json!({"username": loader}));
    let stream = small("append");
    warehouse.complete(&stream, &[row(1, 1, "a")]).await;
    warehouse.execute(&format!(
        "ALTER TABLE t OWNER TO postgres; REVOKE ALL ON t FROM {loader}"
    ));
    let ran = warehouse
        .write(
            &[&stream],
            &[stream.record(1, json!({"id": 2})), stream.complete()],
        )
        .await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("lacks a right"),
        "{}",
        ran.error().message
    );
    assert_eq!(warehouse.value("SELECT count(*) FROM t"), "1");
}

#[tokio::test]
async fn a_cut_connection_is_a_transient_error_and_the_next_run_goes_on() {
    let mut warehouse = Warehouse::new();
    let proxy = FaultProxy::start(warehouse.port).await;
    let stream = small("append_dedup");
    let direct = warehouse.port;
    warehouse.complete(&stream, &[row(1, 1, "a")]).await;
    warehouse.port = proxy.port();
    let messages = [
        stream.record(2, json!({"id": 2, "v": "b"})),
        stream.state(2),
        stream.complete(),
    ];
    // From the login to the last answer: wherever it is cut, no state is given back without its rows.
    let mut allowed = 0;
    loop {
        proxy.cut_after(allowed);
        let ran = warehouse.write(&[&stream], &messages).await;
        let rows = Warehouse {
            port: direct,
            database: warehouse.database.clone(),
            ..Warehouse::new()
        };
        if !ran.states().is_empty() {
            assert_eq!(rows.value("SELECT count(*) FROM t WHERE id = 2"), "1");
        }
        if ran.exit.code() == 0 {
            break;
        }
        assert_eq!(
            ran.error().failure_type,
            Some(FailureType::TransientError),
            "{}",
            ran.text
        );
        allowed += 211;
    }
    assert_eq!(
        warehouse.query("SELECT id, v FROM t ORDER BY id"),
        ["1|a", "2|b"]
    );
}

#[tokio::test]
async fn a_server_that_restarts_is_a_transient_error_and_committed_rows_are_there() {
    let server = PostgresServer::start();
    let warehouse = Warehouse::on(&server);
    let stream = small("overwrite").generation(1, 1);
    warehouse.interrupted(&stream, &[row(1, 1, "a")]).await;
    server.crash();
    let ran = warehouse.write(&[&stream], &[stream.complete()]).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::TransientError));
    server.start_again();
    warehouse.complete(&stream, &[row(2, 2, "b")]).await;
    assert_eq!(
        warehouse.query("SELECT id, v FROM t ORDER BY id"),
        ["1|a", "2|b"]
    );
}

#[tokio::test]
async fn a_limit_of_the_server_is_told_as_such() {
    let warehouse = Warehouse::new();
    let stream = small("append_dedup");
    let mut by_text = stream.clone();
    by_text.key = vec!["v".to_owned()];
    // Random text, so that the server can't compress it below the limit of an index.
    let long: String = (0..4000_u32)
        .map(|at| char::from_u32(0x4e00 + at.wrapping_mul(2_654_435_761) % 20_000).unwrap())
        .collect();
    let messages = [
        by_text.record(1, json!({"id": 1, "v": long})),
        by_text.state(1),
        by_text.complete(),
    ];
    let ran = warehouse.write(&[&by_text], &messages).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("too long for an index"),
        "{}",
        ran.error().message
    );
    assert_eq!(ran.states().len(), 0);
    let many = (0..1700).map(|at| (format!("f{at}"), json!({"type": "integer"})));
    let wide = StreamSpec::new("wide", "append", serde_json::Value::Object(many.collect()));
    let ran = warehouse.write(&[&wide], &[wide.complete()]).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("1600"),
        "{}",
        ran.error().message
    );
}

#[tokio::test]
async fn a_record_that_is_no_json_is_a_system_error_that_names_stream_and_field() {
    let warehouse = Warehouse::new();
    let stream = small("append");
    let line = "{\"type\":\"RECORD\",\"record\":{\"stream\":\"t\",\"data\":{\"id\":1,\"v\":\"\\x\"},\"emitted_at\":1}}\n";
    let ran = warehouse.write_raw(&[&stream], line).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::SystemError));
    assert!(
        ran.error().message.contains("field `v`"),
        "{}",
        ran.error().message
    );
}
