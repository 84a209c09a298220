//! Tunnels through a real SSH server.

use std::time::Duration;

use cdk_core::protocol::FailureType;
use cdk_sql::{Tunnel, TunnelMethod};
use cdk_testkit::servers::ssh::SshServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Generous: only a hang may reach it.
const TIMEOUT: Duration = Duration::from_secs(60);

fn method(config: Value) -> TunnelMethod {
    serde_json::from_value(config).unwrap()
}

fn by_password(ssh: &SshServer, password: &str) -> TunnelMethod {
    method(json!({
        "tunnel_method": "SSH_PASSWORD_AUTH", "tunnel_host": "127.0.0.1", "tunnel_port": ssh.port(),
        "tunnel_user": SshServer::USER, "tunnel_user_password": password
    }))
}

fn by_key(ssh: &SshServer, key: &str) -> TunnelMethod {
    method(json!({
        "tunnel_method": "SSH_KEY_AUTH", "tunnel_host": "127.0.0.1", "tunnel_port": ssh.port(),
        "tunnel_user": SshServer::USER, "ssh_key": key
    }))
}

/// A server that sends back what it gets.
async fn echo() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = socket.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    port
}

#[tokio::test]
async fn both_ways_to_log_in_lead_through_for_several_connections() {
    let (ssh, port) = (SshServer::start().await, echo().await);
    for method in [
        by_password(&ssh, SshServer::PASSWORD),
        by_key(&ssh, ssh.user_key()),
    ] {
        let tunnel = Tunnel::open(&method, "127.0.0.1", port, TIMEOUT)
            .await
            .unwrap()
            .unwrap();
        for _ in 0..3 {
            let mut socket = TcpStream::connect(("127.0.0.1", tunnel.local_port()))
                .await
                .unwrap();
            let sent = vec![7_u8; 300_000];
            let (mut from, mut to) = socket.split();
            let mut received = vec![0; sent.len()];
            let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut received));
            wrote.unwrap();
            read.unwrap();
            assert_eq!(received, sent);
        }
    }
    assert_eq!(ssh.forwarded(), 6);
}

#[tokio::test]
async fn a_refused_login_and_a_broken_key_are_config_errors_that_name_the_setting() {
    let ssh = SshServer::start().await;
    for (method, setting) in [
        (by_password(&ssh, "wrong"), "`tunnel_user_password`"),
        (by_key(&ssh, "no key at all"), "`ssh_key`"),
    ] {
        let error = Tunnel::open(&method, "127.0.0.1", 1, TIMEOUT)
            .await
            .unwrap_err();
        assert_eq!(error.failure_type(), FailureType::ConfigError);
        assert!(error.message().contains(setting), "{error}");
    }
}

#[tokio::test]
async fn no_tunnel_is_the_default_and_opens_nothing() {
    let tunnel = Tunnel::open(&TunnelMethod::default(), "db", 5432, TIMEOUT)
        .await
        .unwrap();
    assert!(tunnel.is_none());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_transient_error_with_its_address() {
    let port = cdk_testkit::servers::free_port();
    let method = method(json!({
        "tunnel_method": "SSH_PASSWORD_AUTH", "tunnel_host": "127.0.0.1", "tunnel_port": port,
        "tunnel_user": "u", "tunnel_user_password": "p"
    }));
    let error = Tunnel::open(&method, "db", 5432, TIMEOUT)
        .await
        .unwrap_err();
    assert_eq!(error.failure_type(), FailureType::TransientError);
    assert!(
        error.message().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
}
