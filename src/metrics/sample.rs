//! What comes in: metric samples, events and service checks, borrowed from wherever they were read.

/// How a metric's values are put together (spec: metrics-logs 1.3, the types of the DogStatsD protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `c`: values are added up, and sent as a rate per second.
    Count,
    /// `g`: the last value counts.
    Gauge,
    /// `h`: several series per metric: its average, count, median and so on.
    Histogram,
    /// `ms`: a histogram of milliseconds.
    Timing,
    /// `d`: a sketch, of which the intake makes percentiles over all instances.
    Distribution,
    /// `s`: how many different members there were.
    Set,
}

/// The values of one message, which share everything else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// At least one number, for all kinds but sets. One that is not finite is rejected and counted.
    Numbers(&'a [f64]),
    /// The member of a set, as it came.
    Member(&'a str),
}

impl Values<'_> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers.len() as u64,
            Self::Member(_) => 1,
        }
    }
}

/// Where a metric comes from, in the words of the intake (`origin_service` of a series' metadata): what it is billed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// None is said: the metrics of the agent about itself.
    #[default]
    None,
    /// The app's own metrics.
    Custom,
    /// Metrics of the platform that the wrapper itself makes.
    Enhanced,
    /// Metrics of a language's runtime.
    Runtime,
}

impl Origin {
    /// The origin that a metric's name tells, as Datadog's serverless agents have it (spec: metrics-logs 3.1).
    pub fn of_name(name: &str) -> Self {
        /// What the metrics of the platforms begin with.
        const PLATFORMS: [&str; 5] = [
            "gcp.run.",
            "azure.app_services.",
            "azure.app_containerapps.",
            "azure.containerapp",
            "azure.functions.",
        ];
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        match name.as_bytes().first() {
            Some(b'd') if name.starts_with("datadog.") => Self::None,
            Some(b'j' | b'r') if begins(&["jvm.", "runtime."]) => Self::Runtime,
            Some(b'g' | b'a') if begins(&PLATFORMS) || name.starts_with("aws.lambda.") => {
                Self::Enhanced
            }
            _ => Self::Custom,
        }
    }
}

/// One message with values of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// How its values are put together.
    pub kind: Kind,
    /// The values.
    pub values: Values<'a>,
    /// The share of all values that was sent, 1.0 where the client sends all. For counts, histograms, timings and distributions.
    pub rate: f64,
    /// The time of the values in seconds since 1970, where the client gives it: they are not put together with others then.
    pub timestamp_s: Option<u64>,
    /// Tags as they came: unsorted, possibly twice.
    pub tags: &'a [&'a str],
    /// Where the metric comes from. Not part of what tells metrics apart: of the same metric, the first sample's counts.
    pub origin: Origin,
}

/// How urgent an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// `normal`.
    #[default]
    Normal,
    /// `low`.
    Low,
}

/// What sort of event it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alert {
    /// `info`.
    #[default]
    Info,
    /// `success`.
    Success,
    /// `warning`.
    Warning,
    /// `error`.
    Error,
}

/// An event (spec: metrics-logs 1.4). A text that is empty was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The title, not empty; line feeds are line feeds.
    pub title: &'a str,
    /// The text, which may be empty.
    pub text: &'a str,
    /// Seconds since 1970. Where it is not given or 0: the time at which the event came.
    pub timestamp_s: Option<i64>,
    /// The host that it names.
    pub host: &'a str,
    /// Events with the same key are shown as one.
    pub aggregation_key: &'a str,
    /// How urgent it is.
    pub priority: Priority,
    /// What made it, such as `nagios`.
    pub source_type: &'a str,
    /// What sort it is.
    pub alert: Alert,
    /// Tags as they came.
    pub tags: &'a [&'a str],
}

/// What a service check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0
    Ok = 0,
    /// 1
    Warning = 1,
    /// 2
    Critical = 2,
    /// 3
    Unknown = 3,
}

/// A service check (spec: metrics-logs 1.5). A text that is empty was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// The check's name, not empty.
    pub name: &'a str,
    /// What it found.
    pub status: Status,
    /// Seconds since 1970. Where it is not given or 0: the time at which the check came.
    pub timestamp_s: Option<i64>,
    /// The host that it names.
    pub host: &'a str,
    /// What it says to people.
    pub message: &'a str,
    /// Tags as they came.
    pub tags: &'a [&'a str],
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn the_name_tells_the_origin() {
        let check = |name: &str, expect| assert_eq!(Origin::of_name(name), expect, "{name}");
        check("datadog.serverless_agent.enhanced.cold_start", Origin::None);
        check("datadogs", Origin::Custom);
        check("jvm.heap_memory", Origin::Runtime);
        check("runtime.node.mem.rss", Origin::Runtime);
        check("gcp.run.container.enhanced.cold_start", Origin::Enhanced);
        check("azure.app_services.enhanced.shutdown", Origin::Enhanced);
        check("aws.lambda.enhanced.invocations", Origin::Enhanced);
        check("page.views", Origin::Custom);
        check("request", Origin::Custom);
        check("", Origin::Custom);
    }
}
