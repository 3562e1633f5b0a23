//! Tags that have to be asked for, which is done on the data plane while the app runs already.

use std::time::Duration;

use tokio::time::sleep;

use super::ecs::Ecs;
use super::google::{Google, TIME};
use super::{Tag, container_id};

/// Who knows more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Google's metadata server.
    Google(Google),
    /// The task metadata endpoint of ECS.
    Ecs(Ecs),
    /// Files of the pod.
    Kubernetes {
        /// The namespace is to be had from the service account.
        lacks_namespace: bool,
    },
}

/// What one asking has brought.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) tags: Vec<Tag>,
    /// Nothing is missing.
    pub(super) is_whole: bool,
    /// Why something is missing, where it is known.
    pub(super) failure: Option<String>,
}

/// Between the first asking and the second, before which nothing is sent yet.
const SECOND: Duration = Duration::from_millis(100);

/// How long it may take until [`Source::learn`] has told the first of what it learns: two askings, and the time between.
pub const FIRST_ANSWER_MAX: Duration = Duration::from_millis(2 * TIME.as_millis() as u64 + 100);

/// Between the later askings: the first, which doubles each time.
const LATER: Duration = Duration::from_secs(2);

/// How often it is asked at the most; the last time two minutes after the start.
const ASKINGS_MAX: u32 = 8;

/// The namespace of a pod, where a service account is mounted.
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

impl Source {
    /// Asks until everything is there or it was asked eight times. `tell` is called after two askings at the latest, maybe with nothing,
    /// and then whenever there is more. It must run on a `LocalSet` with I/O and time.
    pub async fn learn(&self, mut tell: impl FnMut(&[Tag])) {
        let mut told = 0;
        let mut pause = LATER;
        for asking in 1..=ASKINGS_MAX {
            let Answer { tags, is_whole, failure } = self.ask().await;
            let is_news = tags.len() > told;
            if is_whole || asking == 2 || asking > 2 && is_news {
                tell(&tags);
                told = told.max(tags.len());
            }
            if is_whole {
                return;
            }
            let failure = failure.as_deref().unwrap_or("it says nothing");
            match asking {
                1 => sleep(SECOND).await,
                ASKINGS_MAX => tracing::warn!(
                    "The platform's metadata can't be read ({failure}): its tags are missing."
                ),
                _ => {
                    tracing::debug!("The platform's metadata can't be read yet: {failure}.");
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    async fn ask(&self) -> Answer {
        match self {
            Self::Google(google) => google.ask().await,
            Self::Ecs(ecs) => ecs.ask().await,
            Self::Kubernetes { lacks_namespace } => of_pod(*lacks_namespace),
        }
    }
}

/// What files say of the pod. They are small and in memory, so reading them waits for nobody.
fn of_pod(lacks_namespace: bool) -> Answer {
    let mut tags = Vec::new();
    let namespace = if lacks_namespace { container_id::read(NAMESPACE) } else { None };
    let found = [("kube_namespace", namespace), ("container_id", container_id::own())];
    for (key, value) in found {
        let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        tags.extend(value.map(|value| Tag::new(key, &value)));
    }
    Answer { tags, is_whole: true, failure: None }
}
