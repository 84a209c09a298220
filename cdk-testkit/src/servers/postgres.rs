//! A private PostgreSQL server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::guardian::{Guardian, ServiceUser, free_port};
#[cfg(feature = "tls")]
use super::tls::Identity;

/// How often another port is tried when somebody else took the one that was free a moment before.
const PORTS_TRIED: usize = 8;

/// A server that listens on 127.0.0.1 with logical replication on; user `postgres` is superuser.
///
/// It is stopped when the value is dropped, and with the test process however that ends.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    bin: PathBuf,
    user: ServiceUser,
    data: PathBuf,
    log: PathBuf,
    databases: AtomicU32,
    // Stops the server and removes the directory when dropped.
    _guardian: Guardian,
}

/// How a server is to be set up.
#[derive(Debug, Clone)]
pub struct PostgresBuilder {
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    #[cfg(feature = "tls")]
    tls: Option<(Identity, String)>,
}

impl PostgresServer {
    /// A server of its own for one test: whoever connects is let in without a password.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start; so do all methods when a step fails.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The server that all tests of this process share; each takes a database of its own from it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::builder().start())
    }

    /// A server with settings of its own.
    pub fn builder() -> PostgresBuilder {
        let fast = [
            ("listen_addresses", "127.0.0.1"),
            ("wal_level", "logical"),
            ("max_wal_senders", "20"),
            ("max_replication_slots", "20"),
            ("max_connections", "100"),
            ("max_prepared_transactions", "10"),
            ("shared_buffers", "64MB"),
            // The machine does not crash in a test; a killed server recovers from what the system holds.
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("jit", "off"),
            // Its transactions hold back what snapshots can tell apart, at times no test knows.
            ("autovacuum", "off"),
        ];
        PostgresBuilder {
            settings: fast
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            hba: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Where it listens; the host is 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database; its name begins with `name`.
    pub fn database(&self, name: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{number}");
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""));
        name
    }

    /// Runs statements as superuser and returns what they print: a line per row, columns separated by `|`.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        match self.try_sql(database, statements) {
            Ok(printed) => printed,
            Err(error) => panic!("psql failed: {error}\n{statements}"),
        }
    }

    /// The same, with what the server said when it refused.
    pub fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let output = self.psql(database).args(["-c", statements]).output();
        let output = output.expect("psql belongs to PostgreSQL");
        let text = |bytes: Vec<u8>| {
            String::from_utf8_lossy(&bytes)
                .trim_end_matches('\n')
                .to_owned()
        };
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    }

    /// A psql command for this server as superuser, unaligned and without headers.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
            ])
            .arg(self.directory())
            .args(["-p", &self.port.to_string(), "-d", database])
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .env("PGCLIENTENCODING", "UTF8");
        command
    }

    /// A program that comes with the server, such as `pgbench` or `pg_recvlogical`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Where its socket is: a host for `psql` and the like.
    pub fn directory(&self) -> &Path {
        self.data
            .parent()
            .expect("the data directory lies in a directory of ours")
    }

    /// The major version, such as 15.
    pub fn major_version(&self) -> u32 {
        let number = self.sql("postgres", "SHOW server_version_num");
        number.parse::<u32>().expect("the version is a number") / 10_000
    }

    /// Ends all server processes at once, as a crash does. Connections break.
    pub fn crash(&self) {
        self.pg_ctl(&["-m", "immediate", "stop"])
            .expect("the server was running");
    }

    /// Starts it again at the same port after [`PostgresServer::crash`].
    pub fn start_again(&self) {
        // Children of the crashed server may hold the port for a moment.
        let mut last = String::new();
        for _ in 0..PORTS_TRIED {
            match self.boot() {
                Ok(()) => return,
                Err(error) => last = error,
            }
        }
        panic!(
            "PostgreSQL does not start again: {last}\n{}",
            self.log_text()
        );
    }

    /// A crash and a start.
    pub fn restart(&self) {
        self.crash();
        self.start_again();
    }

    /// What the server logged.
    pub fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    fn boot(&self) -> Result<(), String> {
        let log = self.log.to_string_lossy().into_owned();
        let options = format!("-p {}", self.port);
        self.pg_ctl(&["-w", "-t", "300", "-s", "-l", &log, "-o", &options, "start"])
    }

    fn pg_ctl(&self, args: &[&str]) -> Result<(), String> {
        let mut command = self.user.command(&self.bin.join("pg_ctl"));
        command.arg("-D").arg(&self.data).args(args);
        // The server inherits these; a pipe of ours would never end.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let status = command.status().expect("pg_ctl belongs to PostgreSQL");
        match status.success() {
            true => Ok(()),
            false => Err(format!("pg_ctl {args:?}: {status}")),
        }
    }
}

impl PostgresBuilder {
    /// Sets a parameter of `postgresql.conf`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts a line before the standard ones of `pg_hba.conf`.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// TCP connections need a password (SCRAM-SHA-256). Users get theirs by `sql`, which needs none.
    pub fn with_passwords(self) -> Self {
        self.hba("host all all 127.0.0.1/32 scram-sha-256")
            .hba("host replication all 127.0.0.1/32 scram-sha-256")
    }

    /// Offers TLS with this certificate, and takes client certificates that `client_ca` (PEM) signed.
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, server: Identity, client_ca: &str) -> Self {
        self.tls = Some((server, client_ca.to_owned()));
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    pub fn start(self) -> PostgresServer {
        let user = ServiceUser::find(&["postgres", "nobody"]);
        let bin = bin_directory();
        let directory = tempfile::Builder::new().prefix("cdk-postgres-").tempdir();
        let directory = directory.expect("a temporary directory can be made").keep();
        open_to_all(&directory);
        let data = directory.join("data");
        std::fs::create_dir(&data).expect("a directory can be made in our own");
        user.own(&data);
        user.own(&directory);
        let stop = format!(
            "{} '{}' -D '{}' -m immediate -s stop",
            user.shell_prefix(),
            bin.join("pg_ctl").display(),
            data.display()
        );
        let guardian = Guardian::new(&stop, &directory);
        self.initialise(&bin, &user, &data);
        let mut server = PostgresServer {
            port: 0,
            bin,
            user,
            log: directory.join("log"),
            data,
            databases: AtomicU32::new(0),
            _guardian: guardian,
        };
        let mut last = String::new();
        for _ in 0..PORTS_TRIED {
            server.port = free_port();
            match server.boot() {
                Ok(()) => return server,
                Err(error) => last = error,
            }
        }
        panic!("PostgreSQL does not start: {last}\n{}", server.log_text());
    }

    fn initialise(&self, bin: &Path, user: &ServiceUser, data: &Path) {
        let mut initdb = user.command(&bin.join("initdb"));
        initdb.arg("-D").arg(data);
        initdb.args([
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        let output = initdb.output().expect("initdb belongs to PostgreSQL");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb failed: {errors}");
        let directory = data
            .parent()
            .expect("the data directory lies in a directory of ours");
        let mut settings = format!("\nunix_socket_directories = '{}'\n", directory.display());
        for (name, value) in &self.settings {
            writeln!(settings, "{name} = '{value}'").expect("a text takes all");
        }
        #[cfg(feature = "tls")]
        if let Some((server, client_ca)) = &self.tls {
            let files = [
                ("server.crt", server.certificate.as_str()),
                ("server.key", server.key.as_str()),
                ("clients.crt", client_ca.as_str()),
            ];
            for (name, text) in files {
                write_private(&data.join(name), text, user);
            }
            settings.push_str(
                "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'clients.crt'\n",
            );
        }
        append(&data.join("postgresql.conf"), &settings);
        let mut hba = String::from("local all all trust\nlocal replication all trust\n");
        self.hba
            .iter()
            .for_each(|line| hba.push_str(&format!("{line}\n")));
        hba.push_str("host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n");
        write_private(&data.join("pg_hba.conf"), &hba, user);
    }
}

fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("a file of our own can be written");
}

fn write_private(path: &Path, text: &str, user: &ServiceUser) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("a file of our own can be written");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("a file of our own");
    user.own(path);
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, mode).expect("a directory of our own");
}

/// The newest installed server; `CDK_POSTGRES_BIN` names another.
fn bin_directory() -> PathBuf {
    if let Some(given) = std::env::var_os("CDK_POSTGRES_BIN") {
        return given.into();
    }
    let version = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.parse::<f32>().ok()
    };
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = installed
        .map(|entry| entry.path())
        .filter(|path| version(path).is_some() && path.join("bin/initdb").exists())
        .collect();
    versions.sort_by(|a, b| {
        version(a)
            .partial_cmp(&version(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    match versions.pop() {
        Some(newest) => newest.join("bin"),
        None => panic!(
            "There is no PostgreSQL server for this test. Run scripts/setup, install the package `postgresql`, or set \
             CDK_POSTGRES_BIN to the directory with initdb and pg_ctl."
        ),
    }
}
