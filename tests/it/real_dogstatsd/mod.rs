//! The same app with Datadog's client libraries for Node, Go and Java under the binary, by every way that each of them has: all that was measured
//! arrives, and nothing twice. The apps are in `tests/real/dogstatsd`; what has to arrive of them is in [`shop`].

mod shop;

use std::path::Path;

use shop::THEN;
use tempfile::tempdir;

use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, cache, free_port, pillion};

/// The message of the shop's service check as the clients for Go and Java write it. The agent leaves it so.
const ESCAPED: &str = "m\\: dówn";

/// How a client sends.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Udp,
    /// A unix socket for datagrams.
    Datagrams,
    /// A unix socket for streams.
    Stream,
}

/// Where the agent is, in the way that a client's documentation has it: `DD_DOGSTATSD_URL`, or an argument.
fn address(way: Way, port: u16, folder: &Path) -> String {
    match way {
        Way::Udp => format!("127.0.0.1:{port}"),
        Way::Datagrams => format!("unixgram://{}", folder.join("datagrams").display()),
        Way::Stream => format!("unixstream://{}", folder.join("stream").display()),
    }
}

/// Runs an app to its end, and gives what arrived. `words` are the app's, with `<address>` for where it sends; clients that look for that in the
/// environment find it there.
fn run(words: &[&str], way: Way, env: &[(&str, &str)]) -> Recorder {
    let (intake, port, folder) = (Recorder::http(), free_port(), tempdir().unwrap());
    let (url, port_text, then) = (intake.url(), port.to_string(), THEN.to_string());
    let address = address(way, port, folder.path());
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (datagrams, stream) = (place("datagrams"), place("stream"));
    let mut all = vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_DD_URL", url.as_str()),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_APM_RECEIVER_PORT", "0"),
        ("DD_LOG_LEVEL", "info"),
        ("DD_AGENT_HOST", "127.0.0.1"),
        // Where a unix socket is meant, nothing can come another way.
        ("DD_DOGSTATSD_PORT", if way == Way::Udp { port_text.as_str() } else { "0" }),
        ("DD_DOGSTATSD_SOCKET", if way == Way::Datagrams { datagrams.as_str() } else { "" }),
        ("DD_DOGSTATSD_STREAM_SOCKET", if way == Way::Stream { stream.as_str() } else { "" }),
        ("DD_ENV", "testing"),
        ("DD_SERVICE", "shop"),
        ("DD_VERSION", "1.2.3"),
        ("DD_TAGS", "team:web"),
        ("DD_ENTITY_ID", "pod-uid-1"),
        ("DD_EXTERNAL_ENV", "it-false,cn-web,pu-75a2b6d5"),
        ("THEN", then.as_str()),
    ];
    if way != Way::Udp {
        all.push(("DD_DOGSTATSD_URL", address.as_str()));
    }
    all.extend(env);
    let binary = pillion().display().to_string();
    let words = words.iter().map(|word| if *word == "<address>" { &address } else { *word });
    let words: Vec<&str> = std::iter::once(binary.as_str()).chain(words).collect();
    let mut wrapped = Wrapped::start(&words, Path::new("/usr/local/bin"), &all);
    assert_eq!(wrapped.wait().code(), Some(7), "the app's own code: {}", wrapped.stderr());
    let stderr = wrapped.stderr();
    for word in ["lost", "rejected", "filtered"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
    intake
}

/// A file of the tests, and a folder that the test command installs.
fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/real/dogstatsd")
        .join(path)
        .display()
        .to_string()
}

fn installed(path: &str) -> String {
    let path = cache().join(path);
    assert!(path.exists(), "no {}: tests/run.sh installs the clients", path.display());
    path.display().to_string()
}

fn hot_shots(manner: &str, way: Way) {
    let modules = installed("hot-shots/node_modules");
    let words = ["node", &file("hot-shots/app.js"), manner];
    let intake = run(&words, way, &[("NODE_PATH", modules.as_str())]);
    shop::check(&intake, "m: dówn");
}

fn datadog_go(manner: &str, way: Way) {
    let app = installed("go-dogstatsd/app");
    if manner == "steady" {
        return shop::check_steady(&run(&[&app, "<address>", "plain", "steady"], way, &[]));
    }
    shop::check(&run(&[&app, "<address>", manner], way, &[]), ESCAPED);
}

fn java(manner: &str, way: Way) {
    let classes = installed("java-dogstatsd/classes");
    let path = format!("{classes}:{}/*", installed("java-dogstatsd/jars"));
    let words = ["java", "-Dfile.encoding=UTF-8", "-cp", &path, "App", manner];
    shop::check(&run(&words, way, &[]), ESCAPED);
}

/// A module for each client, which the test command runs where it can install the client.
macro_rules! by {
    ($client:ident, $what:literal: $($name:ident = ($manner:literal, $way:ident);)*) => {
        mod $client {
            use super::Way;
            $(
                #[test]
                #[ignore = concat!("needs ", $what, ": run by tests/run.sh")]
                fn $name() {
                    super::$client($manner, Way::$way);
                }
            )*
        }
    };
}

by! { hot_shots, "hot-shots":
    arrives_by_udp = ("plain", Udp);
    arrives_by_udp_in_full_datagrams = ("buffered", Udp);
    arrives_aggregated_by_udp = ("aggregated", Udp);
    arrives_by_a_unix_socket = ("plain", Datagrams);
    arrives_aggregated_by_a_unix_socket = ("aggregated", Datagrams);
}

by! { datadog_go, "datadog-go":
    arrives_by_udp = ("plain", Udp);
    arrives_with_packed_values_by_udp = ("extended", Udp);
    arrives_by_a_unix_socket = ("plain", Datagrams);
    arrives_aggregated_by_a_unix_socket = ("aggregated", Datagrams);
    arrives_by_a_stream = ("plain", Stream);
    arrives_with_packed_values_by_a_stream = ("extended", Stream);
    is_counted_over_several_buckets_by_a_unix_socket = ("steady", Datagrams);
    is_counted_over_several_buckets_by_a_stream = ("steady", Stream);
}

by! { java, "java-dogstatsd-client":
    arrives_by_udp = ("plain", Udp);
    arrives_aggregated_by_udp = ("aggregated", Udp);
    arrives_by_a_unix_socket = ("plain", Datagrams);
    arrives_aggregated_by_a_unix_socket = ("aggregated", Datagrams);
    arrives_by_a_stream = ("plain", Stream);
}
