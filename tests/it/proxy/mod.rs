//! What is passed on, from the tracer's request to what a recording intake sees of it and back.

mod binary;
mod copies;
mod faults;
mod replay;
mod stop;
mod wire;

use std::time::Duration;

use pillion::ledger::{Flow, Reading, Shed};

use crate::support::connect_proxy::ConnectProxy;
use crate::support::http::{Answer, Client};
use crate::support::lines;
use crate::support::recorder::Recorder;
use crate::support::running_intake::{RunningIntake, Wanted};

/// The API key of all tests here.
const KEY: &str = "6fd3f8bbc1c2d3e4f5061728394a5b6c";

/// An intake whose every way out leads to one recorder, whatever host is asked for.
struct Fixture {
    outside: Recorder,
    way: ConnectProxy,
    inside: RunningIntake,
}

impl Fixture {
    fn start() -> Self {
        Self::with(&[])
    }

    /// With these variables beside the usual ones.
    fn with(env: &[(&'static str, &str)]) -> Self {
        let outside = Recorder::https();
        Self::to(outside, env)
    }

    fn to(outside: Recorder, env: &[(&'static str, &str)]) -> Self {
        lines::start();
        let way = ConnectProxy::start(outside.address(), 200);
        let mut all = vec![
            ("DD_API_KEY", KEY.to_owned()),
            ("DD_SITE", "dd.test".to_owned()),
            ("DD_ENV", "prod".to_owned()),
            ("DD_HOSTNAME", "box".to_owned()),
            ("DD_SKIP_SSL_VALIDATION", "true".to_owned()),
            ("DD_PROXY_HTTPS", format!("http://{}", way.address())),
        ];
        all.extend(env.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let inside = RunningIntake::with(Wanted { env: all, ..Wanted::default() });
        Self { outside, way, inside }
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client().ask("POST", path, headers, body)
    }

    fn client(&self) -> Client {
        Client::tcp(self.inside.address)
    }

    /// What became of the requests whose tracers waited.
    fn passed_on(&self) -> Reading {
        self.inside.ledger.passed_on.read()
    }

    fn shed(&self, reason: Shed) -> u64 {
        self.passed_on().shed[reason as usize]
    }
}

/// Waits until `flow` has settled so many items.
fn wait_for_settled(flow: &Flow, count: u64) -> Reading {
    let until = std::time::Instant::now() + crate::support::recorder::PATIENCE;
    loop {
        let read = flow.read();
        if read.received - read.held() >= count {
            return read;
        }
        assert!(std::time::Instant::now() < until, "{read:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
