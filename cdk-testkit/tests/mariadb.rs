//! The private MariaDB server starts, survives a crash with its data, and is gone when it is dropped.
#![cfg(feature = "mariadb")]

use std::net::TcpStream;

use cdk_testkit::servers::mariadb::MariaDbServer;

#[test]
fn a_server_keeps_its_data_over_a_crash_and_ends_when_dropped() {
    let mut server = MariaDbServer::builder()
        .setting("--max-connections=50")
        .start();
    let database = server.database("shop");
    server.sql(
        &database,
        "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
    );
    assert_eq!(
        server.sql("", "SELECT @@max_connections, @@binlog_format"),
        "50\tROW"
    );
    let error = server
        .try_sql(&database, "SELECT * FROM nothing")
        .unwrap_err();
    assert!(error.contains("1146"), "{error}");
    server.crash();
    assert!(server.try_sql(&database, "SELECT 1").is_err());
    server.start_again();
    assert_eq!(server.sql(&database, "SELECT * FROM t"), "1\n2");
    let (port, socket) = (server.port(), server.socket());
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!socket.exists());
}
