//! A private MariaDB server, for whatever speaks MySQL's protocol.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::guardian::{Guardian, ServiceUser, free_port};
#[cfg(feature = "tls")]
use super::tls::Identity;

/// How often another port is tried when somebody else took the one that was free a moment before.
const PORTS_TRIED: usize = 8;

/// How long the server may take to start on a machine that is busy with other things.
const START: Duration = Duration::from_secs(300);

/// A server that listens on 127.0.0.1 and writes a row-based binary log with full metadata.
///
/// `root` has no password and may do everything, by TCP too. The server is stopped when the value is dropped, and
/// with the test process however that ends.
#[derive(Debug)]
pub struct MariaDbServer {
    port: u16,
    user: ServiceUser,
    folder: PathBuf,
    settings: Vec<String>,
    server: Option<Child>,
    numbers: AtomicU32,
    // Kills the server and removes the folder when dropped.
    _guardian: Guardian,
}

/// How a server is to be set up.
#[derive(Debug, Clone, Default)]
pub struct MariaDbBuilder {
    settings: Vec<String>,
    #[cfg(feature = "tls")]
    tls: Option<(Identity, String)>,
}

impl MariaDbServer {
    /// A server of its own for one test.
    ///
    /// # Panics
    /// If MariaDB is not installed or does not start; so do all methods when a step fails.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The server that all tests of this process share; each takes a database of its own from it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDbServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server with settings of its own.
    pub fn builder() -> MariaDbBuilder {
        MariaDbBuilder::default()
    }

    /// Where it listens; the host is 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database; its name begins with `name`.
    pub fn database(&self, name: &str) -> String {
        let name = format!("{name}_{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        self.sql("", &format!("CREATE DATABASE `{name}`"));
        name
    }

    /// Runs statements as root in a database (or in none, if it is empty) and returns what they select: a line per
    /// row, tabs between columns, special characters as they are, no headers.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        match self.try_sql(database, statements) {
            Ok(printed) => printed,
            Err(error) => panic!("the client failed: {error}\n{statements:.2000}"),
        }
    }

    /// The same, with what the server said when it refused.
    pub fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        // From a file: a long script does not fit on a command line.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let script = self.folder.join(format!("script-{number}.sql"));
        fs::write(&script, statements).expect("a file of our own can be written");
        let input = fs::File::open(&script).expect("it was just written");
        let output = self
            .client(database)
            .stdin(input)
            .output()
            .expect("the client belongs to MariaDB");
        fs::remove_file(&script).expect("it was just written");
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

    /// A `mariadb` command for this server as root, in batch mode.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new(program("mariadb"));
        command.args([
            "--no-defaults",
            "--user=root",
            "--batch",
            "--raw",
            "--skip-column-names",
        ]);
        command.args(["--default-character-set=utf8mb4", "--binary-mode"]);
        command.arg(format!("--socket={}", self.socket().display()));
        command.arg(format!("--database={database}"));
        command
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// Ends the server at once, as a crash does. Connections break.
    pub fn crash(&mut self) {
        if let Some(mut server) = self.server.take() {
            // It may have ended by itself.
            let _ = server.kill();
            server.wait().expect("a child can be waited for");
        }
    }

    /// Starts it again at the same port after [`MariaDbServer::crash`].
    pub fn start_again(&mut self) {
        // Whoever took the port meanwhile, for a connection of its own, will let go of it.
        let end = Instant::now() + START;
        while let Err(error) = self.boot() {
            assert!(
                Instant::now() < end,
                "MariaDB does not start again: {error}"
            );
        }
    }

    /// What the server logged since it last started.
    pub fn log_text(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn boot(&mut self) -> Result<(), String> {
        let log = self.folder.join("log");
        // What an earlier run left behind says nothing about this one.
        for old in [&log, &self.folder.join("data/pid")] {
            drop(fs::remove_file(old));
        }
        let mut command = self.user.command(&program("mariadbd"));
        command.arg("--no-defaults");
        command.arg(format!("--datadir={}", self.folder.join("data").display()));
        command.arg(format!("--log-error={}", log.display()));
        command.arg(format!(
            "--pid-file={}",
            self.folder.join("data/pid").display()
        ));
        command.arg(format!("--socket={}", self.socket().display()));
        // A server that starts removes what looks like an older one's temporary tables, whosever they are.
        command.arg(format!("--tmpdir={}", self.folder.display()));
        command.arg(format!("--port={}", self.port));
        command.args(SMALL).args(SERVER).args(&self.settings);
        // Not into the tests' output: a pipe of theirs would never end.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = command
            .spawn()
            .expect("setpriv and env are part of every Linux system");
        let pid = server.id().to_string();
        fs::write(pid_file(&self.folder), pid).expect("a file of our own can be written");
        let greeted = await_greeting(self.port, &self.folder.join("data/pid"), &mut server);
        self.server = Some(server);
        greeted.map_err(|error| {
            self.crash();
            format!("{error}\n{}", self.log_text())
        })
    }
}

impl Drop for MariaDbServer {
    fn drop(&mut self) {
        self.crash();
    }
}

impl MariaDbBuilder {
    /// Adds an option to the server's command line, such as `--binlog-row-image=MINIMAL`.
    #[must_use]
    pub fn setting(mut self, option: &str) -> Self {
        self.settings.push(option.to_owned());
        self
    }

    /// Offers TLS with this certificate, and takes client certificates that `client_ca` (PEM) signed.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, server: Identity, client_ca: &str) -> Self {
        self.tls = Some((server, client_ca.to_owned()));
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    /// If MariaDB is not installed or does not start.
    pub fn start(self) -> MariaDbServer {
        let user = ServiceUser::find(&["mysql", "nobody"]);
        let folder = tempfile::Builder::new().prefix("cdk-mariadb-").tempdir();
        let folder = folder.expect("a temporary folder can be made").keep();
        user.own(&folder);
        let kill = format!("kill -KILL \"$(cat '{}')\"", pid_file(&folder).display());
        let guardian = Guardian::new(&kill, &folder);
        let mut install = user.command(&program("mariadb-install-db"));
        install.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]);
        install
            .args(SMALL)
            .arg(format!("--datadir={}", folder.join("data").display()));
        install.arg(format!("--tmpdir={}", folder.display()));
        succeed(install.stdin(Stdio::null()));
        let mut server = MariaDbServer {
            port: 0,
            settings: self.settings(&folder, &user),
            user,
            folder,
            server: None,
            numbers: AtomicU32::new(0),
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
        panic!("MariaDB does not start: {last}")
    }

    #[cfg(not(feature = "tls"))]
    fn settings(&self, _: &Path, _: &ServiceUser) -> Vec<String> {
        self.settings.clone()
    }

    #[cfg(feature = "tls")]
    fn settings(&self, folder: &Path, user: &ServiceUser) -> Vec<String> {
        let mut settings = self.settings.clone();
        if let Some((server, client_ca)) = &self.tls {
            let files = [
                ("cert", &server.certificate),
                ("key", &server.key),
                ("ca", client_ca),
            ];
            for (name, text) in files {
                let path = folder.join(name);
                fs::write(&path, text).expect("a file of our own can be written");
                user.own(&path);
                settings.push(format!("--ssl-{name}={}", path.display()));
            }
        }
        settings
    }
}

/// Small files and no waiting for disks: the data need not outlive the machine.
const SMALL: &[&str] = &[
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
];

const SERVER: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--server-id=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--binlog-row-metadata=FULL",
    "--gtid-domain-id=1",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=64M",
];

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("server.pid")
}

/// The full path of a program; servers are often outside a user's `PATH`.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let folders = folders.chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    let mut found = folders
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file());
    found.next().unwrap_or_else(|| {
        panic!("There is no {name} for this test. Run scripts/setup, or install the package `mariadb-server`.")
    })
}

fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{errors}",
        output.status
    );
    output
}

/// Waits until the server greets whoever connects, or ends. It writes its number to `pid_file` once it has the port:
/// before that, somebody else may be listening there.
fn await_greeting(port: u16, pid_file: &Path, server: &mut Child) -> Result<(), String> {
    let end = Instant::now() + START;
    while Instant::now() < end {
        if let Some(status) = server
            .try_wait()
            .expect("a child can be asked for its status")
        {
            return Err(format!("it ended: {status}"));
        }
        let pid = fs::read_to_string(pid_file).unwrap_or_default();
        if pid.trim().parse() != Ok(server.id()) {
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        }
        let greeted = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(START))?;
            stream.read_exact(&mut [0])
        });
        match greeted {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(format!("port {port}: {error}")),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Err(format!("nobody listens on port {port} after {START:?}"))
}
