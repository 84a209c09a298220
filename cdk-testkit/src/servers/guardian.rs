//! Sees to it that a server ends with the tests that started it, however they end.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process outside the test process that runs a command once this one is gone: dropped, panicked or killed.
///
/// It waits for the end of a pipe that only this process holds, in a session of its own so that a Ctrl-C at the
/// terminal does not end it before its work.
#[derive(Debug)]
pub struct Guardian {
    process: Child,
}

impl Guardian {
    /// Runs `command` (of a shell) and removes `directory` at the end.
    ///
    /// # Panics
    /// If no shell can be started.
    pub fn new(command: &str, directory: &Path) -> Self {
        let script = r#"trap '' INT TERM HUP; cat >/dev/null; eval "$1"; rm -rf "$2""#;
        let process = Command::new("setsid")
            .args(["sh", "-c", script, "guardian", command])
            .arg(directory)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.expect("setsid and sh are part of every Linux system");
        Self { process }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends by itself; whether it could be waited for changes nothing.
        let _ = self.process.wait();
    }
}

/// The user that servers run as: the user of the tests, or a service user when that is root, whom servers refuse.
#[derive(Debug, Clone)]
pub struct ServiceUser {
    /// Name, user id and group id; `None` when the tests do not run as root.
    switch: Option<(String, u32, u32)>,
}

impl ServiceUser {
    /// The first of `names` that exists, if a switch is needed at all.
    ///
    /// # Panics
    /// If the tests run as root and there is none of them.
    pub fn find(names: &[&str]) -> Self {
        if number_of(&["-u"]) == Some(0) {
            let found = names.iter().find_map(|name| {
                let uid = number_of(&["-u", name])?;
                Some(((*name).to_owned(), uid, number_of(&["-g", name])?))
            });
            let found = found.unwrap_or_else(|| panic!("none of the users {names:?} exists"));
            return Self {
                switch: Some(found),
            };
        }
        Self { switch: None }
    }

    /// A command that runs as this user, in a clean locale.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = match &self.switch {
            None => Command::new("env"),
            Some((_, uid, gid)) => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={uid}"), format!("--regid={gid}")])
                    .args(["--clear-groups", "--reset-env", "env"]);
                command
            }
        };
        command.args(["LC_ALL=C.UTF-8", "TZ=UTC"]).arg(program);
        command.current_dir("/");
        command
    }

    /// The same as text for a shell, without the program.
    pub fn shell_prefix(&self) -> String {
        match &self.switch {
            None => "env LC_ALL=C.UTF-8".to_owned(),
            Some((_, uid, gid)) => format!(
                "setpriv --reuid={uid} --regid={gid} --clear-groups --reset-env env LC_ALL=C.UTF-8"
            ),
        }
    }

    /// Gives a file or directory to this user.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn own(&self, path: &Path) {
        if let Some((_, uid, gid)) = &self.switch {
            std::os::unix::fs::chown(path, Some(*uid), Some(*gid))
                .expect("root may give files away");
        }
    }
}

fn number_of(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// A port of the loopback interface that nobody listens on now.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
