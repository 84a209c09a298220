//! Every way to get to a server, and what is said when there is none.

use std::time::Duration;

use cdk_core::SecretString;
use cdk_core::protocol::FailureType;
use cdk_sql_postgres::{ConnectSettings, Connector, SslMode};
use cdk_testkit::servers::free_port;
use cdk_testkit::servers::postgres::PostgresServer;
use cdk_testkit::servers::ssh::SshServer;
use cdk_testkit::servers::tls::Authority;
use serde_json::{Value, json};

fn settings(port: u16, ssl_mode: Value) -> ConnectSettings {
    let mut settings = ConnectSettings::new("127.0.0.1", port, "postgres", "postgres");
    settings.ssl_mode = serde_json::from_value(ssl_mode).unwrap();
    // Generous: only a hang may reach it.
    settings.connect_timeout = Duration::from_secs(120);
    settings
}

fn plain(server: &PostgresServer) -> ConnectSettings {
    settings(server.port(), json!({"mode": "disable"}))
}

/// Whether the session is encrypted, as the server sees it.
async fn is_encrypted(settings: ConnectSettings) -> cdk_core::Result<bool> {
    let mut session = Connector::open(settings).await?.session().await?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(session.value(sql, "asking").await?.as_deref() == Some("t"))
}

async fn failure(settings: ConnectSettings) -> (FailureType, String) {
    let error = is_encrypted(settings).await.unwrap_err();
    (error.failure_type(), error.message().to_owned())
}

#[tokio::test]
async fn every_tls_mode_does_what_libpq_does() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = PostgresServer::builder()
        .hba("hostssl all secure 127.0.0.1/32 cert")
        .hba("hostnossl all secure 127.0.0.1/32 reject")
        .with_tls(authority.server("127.0.0.1"), &authority.certificate())
        .start();
    server.sql("postgres", "CREATE ROLE secure LOGIN");
    let port = server.port();
    let (ca, other_ca) = (authority.certificate(), stranger.certificate());
    let encrypted = [
        (json!({"mode": "disable"}), false),
        (json!({"mode": "allow"}), false),
        (json!({"mode": "prefer"}), true),
        (json!({"mode": "require"}), true),
        (json!({"mode": "verify-ca", "ca_certificate": ca}), true),
        (json!({"mode": "verify-full", "ca_certificate": ca}), true),
    ];
    for (mode, expected) in encrypted {
        assert_eq!(
            is_encrypted(settings(port, mode.clone())).await.unwrap(),
            expected,
            "{mode}"
        );
    }
    for mode in ["verify-ca", "verify-full"] {
        let (kind, text) = failure(settings(
            port,
            json!({"mode": mode, "ca_certificate": other_ca}),
        ))
        .await;
        assert_eq!(kind, FailureType::ConfigError);
        assert!(text.contains("`ssl_mode`"), "{text}");
    }
    // The certificate is for the address, not for the name.
    for (mode, is_accepted) in [("verify-ca", true), ("verify-full", false)] {
        let mut by_name = settings(port, json!({"mode": mode, "ca_certificate": ca}));
        by_name.host = "localhost".to_owned();
        assert_eq!(is_encrypted(by_name).await.is_ok(), is_accepted, "{mode}");
    }
    let client = authority.client("secure");
    let with_key = json!({"mode": "verify-full", "ca_certificate": ca, "client_certificate": client.certificate,
        "client_key": client.key});
    for (mode, is_accepted) in [
        (with_key, true),
        (json!({"mode": "require"}), false),
        (json!({"mode": "allow"}), false),
    ] {
        let mut secure = settings(port, mode.clone());
        secure.username = "secure".to_owned();
        assert_eq!(is_encrypted(secure).await.is_ok(), is_accepted, "{mode}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_taken_by_prefer_and_refused_by_require() {
    let server = PostgresServer::shared();
    assert!(
        !is_encrypted(settings(server.port(), json!({"mode": "prefer"})))
            .await
            .unwrap()
    );
    let (kind, text) = failure(settings(server.port(), json!({"mode": "require"}))).await;
    assert_eq!(kind, FailureType::ConfigError);
    assert!(text.contains("does not offer TLS"), "{text}");
}

#[tokio::test]
async fn passwords_are_checked_by_scram_with_both_clients() {
    let server = PostgresServer::builder().with_passwords().start();
    server.sql("postgres", "CREATE ROLE reader LOGIN PASSWORD 'opensesame'");
    let with = |password: Option<&str>| {
        let mut settings = plain(&server);
        settings.username = "reader".to_owned();
        settings.password = password.map(SecretString::new);
        settings
    };
    assert!(!is_encrypted(with(Some("opensesame"))).await.unwrap());
    let client = Connector::open(with(Some("opensesame")))
        .await
        .unwrap()
        .client()
        .await
        .unwrap();
    let row = client
        .query_one("SELECT current_user::text", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "reader");
    let (kind, text) = failure(with(Some("wrong"))).await;
    assert_eq!(kind, FailureType::ConfigError);
    assert!(text.contains("password is wrong"), "{text}");
    let (_, text) = failure(with(None)).await;
    assert!(text.contains("Set `password`"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_with_the_address_or_the_name_is_said() {
    let server = PostgresServer::shared();
    let mut missing_database = plain(server);
    missing_database.database = "nowhere".to_owned();
    let mut missing_user = plain(server);
    missing_user.username = "nobody-here".to_owned();
    let mut unknown_host = plain(server);
    unknown_host.host = "no-such-host.invalid".to_owned();
    let refused = settings(free_port(), json!({"mode": "disable"}));
    for (settings, words) in [
        (missing_database, "database does not exist"),
        (missing_user, "does not let this user in"),
        (unknown_host, "can't be resolved"),
        (refused, "connection was refused"),
    ] {
        let (_, text) = failure(settings).await;
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_with_its_address() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let mut silent = settings(
        listener.local_addr().unwrap().port(),
        json!({"mode": "disable"}),
    );
    silent.apply_jdbc_params("connectTimeout=1").unwrap();
    let (kind, text) = failure(silent).await;
    assert_eq!(kind, FailureType::TransientError);
    assert!(text.contains("did not answer within 1 s"), "{text}");
}

#[tokio::test]
async fn both_clients_go_through_an_ssh_tunnel() {
    let (server, ssh) = (PostgresServer::shared(), SshServer::start().await);
    let mut through = plain(server);
    through.tunnel = serde_json::from_value(json!({
        "tunnel_method": "SSH_KEY_AUTH", "tunnel_host": "127.0.0.1", "tunnel_port": ssh.port(),
        "tunnel_user": SshServer::USER, "ssh_key": ssh.user_key()
    }))
    .unwrap();
    let connector = Connector::open(through).await.unwrap();
    assert!(connector.session().await.is_ok());
    assert!(connector.client().await.is_ok());
    assert_eq!(ssh.forwarded(), 2);
}

#[tokio::test]
async fn settings_of_the_session_come_from_jdbc_url_params() {
    let server = PostgresServer::shared();
    let mut settings = plain(server);
    settings
        .apply_jdbc_params("options=-c%20statement_timeout=1234&ApplicationName=me&unknown=1")
        .unwrap();
    let mut session = Connector::open(settings)
        .await
        .unwrap()
        .session()
        .await
        .unwrap();
    assert_eq!(
        session
            .value("SHOW statement_timeout", "asking")
            .await
            .unwrap()
            .as_deref(),
        Some("1234ms")
    );
    assert_eq!(
        session
            .value("SHOW application_name", "asking")
            .await
            .unwrap()
            .as_deref(),
        Some("me")
    );
    assert_eq!(
        session
            .value("SHOW TimeZone", "asking")
            .await
            .unwrap()
            .as_deref(),
        Some("UTC")
    );
    let error = session
        .query("SELECT 1; SELECT * FROM nothing", "asking")
        .await
        .unwrap_err();
    assert!(error.message().contains("Refresh the schema"), "{error}");
    assert_eq!(
        session
            .value("SELECT 2", "asking")
            .await
            .unwrap()
            .as_deref(),
        Some("2"),
        "the session goes on"
    );
}

#[test]
fn the_mode_is_prefer_unless_told_otherwise() {
    assert_eq!(SslMode::default(), SslMode::Prefer {});
}
