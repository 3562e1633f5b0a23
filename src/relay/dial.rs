//! How connections are made: TLS, the user's authorities, proxies. Made up at the first use and shared by all that sends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Url};
use rustls::ClientConfig;

use crate::relay::answer::scrubbed;
use crate::relay::{Family, Settings, client, proxy};

/// Makes HTTP clients by the settings for proxies, certificates and TLS.
pub(crate) struct Dialer {
    settings: Settings,
    tls: OnceLock<Result<ClientConfig, String>>,
    has_told_of_proxy: AtomicBool,
    /// What must never be printed.
    secrets: Vec<String>,
}

/// A client with an empty pool of connections.
#[derive(Clone)]
pub(crate) struct Dialed {
    /// The client.
    pub(crate) client: Client,
    /// The proxy in words, for errors, which may be its own. Empty without one.
    pub(crate) via: String,
    made: Instant,
}

impl Dialer {
    /// One that has read and built nothing yet.
    pub(crate) fn new(settings: Settings) -> Self {
        let intakes = Family::ALL.map(|family| settings.intake(family));
        let keys = intakes.iter().flat_map(|intake| {
            intake.api_key.iter().chain(intake.copies().map(|copy| &copy.api_key))
        });
        let mut secrets: Vec<String> = keys.map(|key| key.expose().to_owned()).collect();
        secrets.sort_unstable();
        secrets.dedup();
        for url in [&settings.proxy_http, &settings.proxy_https].into_iter().flatten() {
            let url = url.expose().split_once("://").map_or(url.expose(), |(_, rest)| rest);
            if let Some((userinfo, _)) = url.rsplit_once('@') {
                secrets.push(userinfo.to_owned());
                secrets.extend(userinfo.split_once(':').map(|(_, password)| password.to_owned()));
            }
        }
        // Shorter ones would blot out half of every line; none of ours is.
        secrets.retain(|secret| secret.len() > 3);
        let (tls, has_told_of_proxy) = (OnceLock::new(), AtomicBool::new(false));
        Self { settings, tls, has_told_of_proxy, secrets }
    }

    /// The name of the proxy that `target` is reached through; nothing where it is reached directly. Targets of one name share a client.
    pub(crate) fn way(&self, target: &Url) -> Option<String> {
        proxy::of(&self.settings, target).ok().flatten().map(|proxy| proxy.url.to_string())
    }

    /// A client for `target` and all that is reached the same way. `timeout` is the longest that a request may take; without one the caller
    /// sees to that.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub(crate) fn dial(&self, target: &Url, timeout: Option<Duration>) -> Result<Dialed, String> {
        let tls = self.tls.get_or_init(|| {
            let (tls, problem) = client::tls(&self.settings)?;
            problem.iter().for_each(|problem| tracing::warn!("{}", self.scrubbed(problem)));
            Ok(tls)
        });
        let proxy = proxy::of(&self.settings, target).unwrap_or_else(|why| {
            if !self.has_told_of_proxy.swap(true, Ordering::Relaxed) {
                tracing::warn!("{}: the intake is asked directly", self.scrubbed(&why));
            }
            None
        });
        let client =
            client::build(tls.clone()?, proxy.as_ref(), self.settings.connecting.timeout, timeout)?;
        let via = proxy.map(|proxy| format!(" (through the proxy {})", proxy.url));
        Ok(Dialed { client, via: via.unwrap_or_default(), made: Instant::now() })
    }

    /// Whether connections that were made with `dialed` may still be used.
    pub(crate) fn lasts(&self, dialed: &Dialed) -> bool {
        let most = self.settings.connecting.reset_interval;
        most.is_none_or(|most| dialed.made.elapsed() < most)
    }

    /// The longest that connecting may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.settings.connecting.timeout
    }

    /// `text` without the secrets of the settings.
    pub(crate) fn scrubbed(&self, text: &str) -> String {
        scrubbed(text, &self.secrets)
    }
}
