//! `check`: precise reasons, all that is missing at once; encryption, tunnels; and what discovery shows.

use cdk_testkit::servers::mariadb::MariaDbServer;
use cdk_testkit::servers::ssh::SshServer;
use cdk_testkit::servers::tls::Authority;
use serde_json::{Value, json};
use source_mysql::MySqlSource;

use crate::support::{Database, config, read, run};

/// The message of a failed check; `None` when it succeeded.
async fn failure(config: &Value) -> Option<String> {
    let ran = run("check", config, None, None, MySqlSource::default()).await;
    let status = ran.connection_status();
    match status.status.as_str() {
        "SUCCEEDED" => None,
        _ => Some(status.message.clone().unwrap_or_default()),
    }
}

async fn failed(config: &Value) -> String {
    failure(config).await.expect("the check fails")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_names_its_reason() {
    let database = Database::shared("check");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY)");
    assert_eq!(failure(&database.config(json!({}))).await, None);
    assert_eq!(failure(&database.cdc()).await, None);
    let closed = cdk_testkit::servers::free_port();
    let cases = [
        (
            json!({"password": "wrong"}),
            "the login was refused. Check `username` and `password`",
        ),
        (json!({"database": "nothing"}), "database"),
        (json!({"port": closed}), "Nothing accepts connections"),
        (
            json!({"host": "no-such-host.invalid"}),
            "The host `no-such-host.invalid` is not known",
        ),
        (
            json!({"ssl_mode": {"mode": "required"}}),
            "does not offer TLS",
        ),
        (
            json!({"ssl_mode": {"mode": "verify_ca", "ca_certificate": "nonsense"}}),
            "`ca_certificate`",
        ),
        (
            json!({"table_filters": [{"database_name": database.name, "table_name_patterns": ["none%"]}]}),
            "`table_filters`",
        ),
    ];
    for (more, reason) in cases {
        let message = failed(&database.config(more.clone())).await;
        assert!(message.contains(reason), "{more}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_given_up_on() {
    // A listener that accepts and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let more = json!({"jdbc_url_params": "connectTimeout=300"});
    let message = failed(&config(port, "db", more)).await;
    assert!(message.contains("did not answer within"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_missing_rights_and_settings_are_told_at_once() {
    let server = MariaDbServer::builder()
        .setting("--binlog-format=MIXED")
        .setting("--binlog-row-image=MINIMAL")
        .start();
    server.sql(
        "",
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);
         CREATE USER poor@'%' IDENTIFIED BY 'pw'; GRANT USAGE ON *.* TO poor@'%'; GRANT SELECT ON d.* TO poor@'%';
         CREATE USER none@'%' IDENTIFIED BY 'pw'; GRANT INSERT ON d.* TO none@'%'",
    );
    let of = |user: &str| {
        let cdc =
            json!({"username": user, "password": "pw", "replication_method": {"method": "CDC"}});
        config(server.port(), "d", cdc)
    };
    let message = failed(&of("poor")).await;
    for part in [
        "binlog_format = 'ROW'",
        "binlog_row_image = 'FULL'",
        "GRANT REPLICATION CLIENT ON *.* TO 'poor'@'%'",
        "GRANT REPLICATION SLAVE ON *.* TO 'poor'@'%'",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let message = failed(&of("none")).await;
    assert!(
        message.contains("a table to read") && message.contains("REPLICATION SLAVE"),
        "{message}"
    );
    server.sql("", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO poor@'%'; SET GLOBAL binlog_format = 'ROW', binlog_row_image = 'FULL'");
    assert_eq!(failure(&of("poor")).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_of_encryption_trusts_whom_it_should() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let server = MariaDbServer::builder()
        .with_tls(ours.server("localhost"), &ours.certificate())
        .start();
    server.sql(
        "",
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);
         CREATE USER tls@'%' IDENTIFIED BY 'pw' REQUIRE SSL; GRANT SELECT ON d.* TO tls@'%';
         CREATE USER cert@'%' IDENTIFIED BY 'pw' REQUIRE X509; GRANT SELECT ON d.* TO cert@'%';
         INSTALL SONAME 'auth_ed25519'; CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('pw'); GRANT SELECT ON d.* TO ed@'%'",
    );
    let of = |host: &str, user: &str, mode: Value| {
        config(
            server.port(),
            "d",
            json!({"host": host, "username": user, "password": "pw", "ssl_mode": mode}),
        )
    };
    let verified = |mode: &str, authority: &Authority| json!({"mode": mode, "ca_certificate": authority.certificate()});
    for (host, mode) in [
        ("127.0.0.1", json!({"mode": "preferred"})),
        ("127.0.0.1", json!({"mode": "required"})),
        ("127.0.0.1", verified("verify_ca", &ours)),
        ("localhost", verified("verify_identity", &ours)),
    ] {
        assert_eq!(
            failure(&of(host, "tls", mode.clone())).await,
            None,
            "{mode}"
        );
        assert_eq!(failure(&of(host, "ed", mode)).await, None);
    }
    for (host, mode) in [
        ("127.0.0.1", verified("verify_ca", &foreign)),
        ("127.0.0.1", verified("verify_identity", &ours)),
        ("localhost", verified("verify_identity", &foreign)),
    ] {
        let message = failed(&of(host, "tls", mode)).await;
        assert!(
            message.contains("its certificate is not accepted"),
            "{message}"
        );
    }
    let client = ours.client("me");
    let mut mode = verified("verify_ca", &ours);
    assert!(
        failed(&of("127.0.0.1", "cert", mode.clone()))
            .await
            .contains("login was refused")
    );
    (mode["client_certificate"], mode["client_key"]) =
        (json!(client.certificate), json!(client.key));
    assert_eq!(failure(&of("127.0.0.1", "cert", mode)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_leads_to_the_server() {
    let database = Database::shared("tunnel");
    database.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    let ssh = SshServer::start().await;
    let tunnel = json!({
        "tunnel_method": "SSH_PASSWORD_AUTH", "tunnel_host": "127.0.0.1", "tunnel_port": ssh.port(),
        "tunnel_user": SshServer::USER, "tunnel_user_password": SshServer::PASSWORD
    });
    let config = database.config(json!({"tunnel_method": tunnel}));
    assert_eq!(failure(&config).await, None);
    let catalog = database.catalog(&config, "full_refresh", None).await;
    assert_eq!(read(&config, &catalog, None).await.data("t").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_shows_tables_views_keys_and_only_what_may_be_read() {
    let database = Database::shared("discovery");
    database.sql(
        "CREATE TABLE orders (b INT, a INT, at DATETIME, doc JSON, PRIMARY KEY (a, b), KEY (at));
         CREATE TABLE `odd ``name\"` (`key` INT, `ü \"x` TEXT);
         CREATE VIEW recent AS SELECT a, at FROM orders;
         CREATE TABLE gone (id INT); CREATE VIEW broken AS SELECT * FROM gone; DROP TABLE gone;
         INSERT INTO orders VALUES (1, 2, '2024-01-01', '{}'); INSERT INTO `odd ``name\"` VALUES (1, 'x')",
    );
    let config = database.config(json!({}));
    let streams = database.discover(&config).await;
    let names: Vec<_> = streams
        .iter()
        .map(|stream| stream["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["odd `name\"", "orders", "recent"]);
    let orders = &streams[1];
    assert_eq!(orders["namespace"], json!(database.name));
    assert_eq!(orders["source_defined_primary_key"], json!([["a"], ["b"]]));
    assert_eq!(orders["json_schema"]["properties"]["doc"], json!({}));
    let catalog = database.catalog(&config, "full_refresh", None).await;
    let ran = read(&config, &catalog, None).await;
    assert_eq!(ran.data("odd `name\""), [json!({"key": 1, "ü \"x": "x"})]);
    assert_eq!(
        ran.data("recent"),
        [json!({"a": 2, "at": "2024-01-01T00:00:00"})]
    );
    let cdc = database.discover(&database.cdc()).await;
    let modes: Vec<_> = cdc
        .iter()
        .map(|stream| stream["supported_sync_modes"].as_array().unwrap().len())
        .collect();
    assert_eq!(
        modes,
        [1, 2, 1],
        "without a key, or for a view, the log tells nothing"
    );
    assert!(
        cdc[1]["json_schema"]["properties"]
            .get("_ab_cdc_cursor")
            .is_some()
    );
}
