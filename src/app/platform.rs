//! What the platform has to do with: its probes, and its tags, which may be learnt only while the app runs.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::dogstatsd::Metrics;
use crate::otlp;
use crate::pipeline::Pipeline;
use crate::platform::{Platform, Source, Tag, Tags, health, is_high_cardinality};

use super::output::Logs;
use super::usage::Usage;

/// All that says what the platform is.
pub(super) struct Told {
    pub(super) pipeline: Rc<RefCell<Pipeline>>,
    pub(super) logs: Option<Rc<Logs>>,
    pub(super) metrics: Option<Metrics>,
    pub(super) usage: Option<Rc<RefCell<Usage>>>,
    pub(super) otlp: otlp::Learnt,
    /// The tags of metrics that are known from the start.
    pub(super) metric_tags: Vec<String>,
    /// Is woken by the first answer of the platform.
    pub(super) known: Arc<Notify>,
}

/// Answers probes, and asks the platform where it has more to say than the environment.
pub(super) fn start(
    local: &LocalSet,
    platform: &Platform,
    probes: Option<TcpListener>,
    told: Told,
) {
    if let Some(source) = platform.source.clone() {
        told.pipeline.borrow_mut().hold();
        local.spawn_local(learn(source, platform.tags.clone(), told));
    }
    if let Some(probes) = probes {
        local.spawn_local(health::serve(probes));
    }
}

/// Has everything say what is learnt of the platform while the app runs. The first batch waits for it, but no longer than
/// [`crate::platform::FIRST_ANSWER_MAX`], which is less than it waits for other traces by default; the end waits for nothing.
async fn learn(source: Source, mut tags: Tags, told: Told) {
    source
        .learn(|found| {
            tags.learn(found.to_vec());
            let mut pipeline = told.pipeline.borrow_mut();
            pipeline.add_span_tags(&tags.spans());
            pipeline.set_container_tags(tags.container());
            pipeline.release();
            if let Some(logs) = &told.logs {
                logs.learn(found);
            }
            if let Some(metrics) = &told.metrics {
                let all = with_learnt(&told.metric_tags, found);
                metrics.add(|aggregator, _| aggregator.set_tags(all));
            }
            if let Some(usage) = &told.usage {
                usage.borrow_mut().learn(found);
            }
            let of_logs = found.iter().map(|Tag { key, value }| format!("{key}:{value}"));
            told.otlp.tell(with_learnt(&[], found), of_logs.collect());
            told.known.notify_one();
        })
        .await;
}

/// The tags of metrics, those of the platform that were learnt among them.
fn with_learnt(tags: &[String], found: &[Tag]) -> Vec<String> {
    let learnt = found.iter().filter(|tag| !is_high_cardinality(&tag.key));
    tags.iter().cloned().chain(learnt.map(|Tag { key, value }| format!("{key}:{value}"))).collect()
}
