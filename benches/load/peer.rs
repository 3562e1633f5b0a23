//! A program under test: how it is started, and what the kernel says of it.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that takes traces on a port and sends them to an intake.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    /// Its environment; `{port}` and `{intake}` stand for the port and the intake's URL.
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

/// A started peer. It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    /// From before exec until the port took a connection.
    pub(crate) accepts_after: Duration,
}

/// Kernel ticks per second in `/proc/<pid>/stat` (`man 5 proc`): 100 on every Linux this runs on.
const TICKS: f64 = 100.0;

impl Peer {
    /// Starts it and waits until it accepts.
    pub(crate) fn start(&self, port: u16, intake: &str) -> io::Result<Running> {
        let mut command = Command::new(&self.binary);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for (key, value) in self.environment {
            command
                .env(key, value.replace("{port}", &port.to_string()).replace("{intake}", intake));
        }
        let started = Instant::now();
        let child = command.spawn()?;
        let mut running = Running { child, port, accepts_after: Duration::ZERO };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > Duration::from_secs(20) || running.child.try_wait()?.is_some() {
                return Err(io::Error::other(format!(
                    "{} does not accept on port {port}",
                    self.name
                )));
            }
            thread::sleep(Duration::from_micros(100));
        }
        running.accepts_after = started.elapsed();
        Ok(running)
    }

    /// The size of its binary.
    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.binary)?.len())
    }
}

impl Running {
    /// A line of `/proc/<pid>/status` in bytes: `VmRSS` or `VmHWM`.
    pub(crate) fn memory(&self, line: &str) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let found = text.lines().find_map(|own| {
            own.strip_prefix(line)?
                .strip_prefix(':')?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse::<u64>()
                .ok()
        });
        found.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("no {line}")))
    }

    /// User and system time of the whole process so far, threads that ended included.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = text
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let ticks = |at: usize| {
            fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default()
        };
        Ok(Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS))
    }

    /// Asks it to end.
    pub(crate) fn term(&self) -> io::Result<()> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).map_err(io::Error::from)
    }

    /// Waits until it has ended and says how much CPU it used in all: a process that has ended keeps its times until it is waited for.
    pub(crate) fn end(mut self, patience: Duration) -> io::Result<Duration> {
        let until = Instant::now() + patience;
        let path = format!("/proc/{}/stat", self.child.id());
        while Instant::now() < until {
            let text = fs::read_to_string(&path)?;
            if text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let cpu = self.cpu()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(cpu)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
