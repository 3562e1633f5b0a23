//! The environment of the app: ours, entry by entry as it was given, and what `datadog-init` adds to it (spec: serverless-init 1 and 2.2).
//!
//! A variable that is set is never replaced. Defaults are added where there is none; the folder of a tracer is added to a list of folders or
//! options, once. Datadog has Ruby's tracer in the Gemfile and PHP's in the interpreter's own settings, so nothing is to be added for them.

use std::ffi::{CStr, CString};
use std::path::Path;

use crate::config;

/// Where images have tracers that are to be loaded without the app's doing.
const FOLDER: &str = "/dd_tracer";

/// What a tracer is told that is told nothing else: that it has no host, and that nobody here answers remote configuration or needs its own
/// telemetry.
const DEFAULTS: [(&str, &str); 5] = [
    ("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false"),
    ("DD_REMOTE_CONFIGURATION_ENABLED", "false"),
    ("DD_HOSTNAME", "none"),
    ("DD_APM_ENABLED", "true"),
    ("DD_TRACE_ENABLED", "true"),
];

/// The profiler that is Datadog's tracer for .NET.
const DOTNET_PROFILER: &str = "{846F5F1C-F9AE-4B07-969E-05C26BC060D8}";

/// The environment of the app, made of ours. Where `hides_key` says so it has no variable in it that may hold an API key.
pub(super) fn of_app(entries: Vec<CString>, hides_key: bool) -> Vec<CString> {
    made_of(entries, hides_key, Path::new(FOLDER))
}

fn made_of(entries: Vec<CString>, hides_key: bool, folder: &Path) -> Vec<CString> {
    let mut environment = Environment(entries);
    for (name, value) in DEFAULTS {
        environment.set_default(name, value);
    }
    environment.load_tracer(folder);
    if hides_key {
        environment.remove(config::names_of_keys());
    }
    environment.0
}

struct Environment(Vec<CString>);

impl Environment {
    /// The value of a variable: the first entry counts, as in getenv(3).
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find_map(|entry| value(entry, name))
    }

    fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.add(name, value.as_bytes());
        }
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        // It has no zero in it: a folder and what was an entry have none.
        self.0.extend(CString::new([name.as_bytes(), b"=", value].concat()));
    }

    /// Puts `text` behind the value of a variable, with `between` before it, unless the value has `known` in it already.
    fn append(&mut self, name: &str, between: &str, text: &str, known: &str) {
        let at = self.0.iter().position(|entry| value(entry, name).is_some());
        let old = at.and_then(|at| value(&self.0[at], name)).unwrap_or_default();
        if old.windows(known.len()).any(|part| part == known.as_bytes()) {
            return;
        }
        let between = if old.is_empty() { "" } else { between };
        let entry = [name.as_bytes(), b"=", old, between.as_bytes(), text.as_bytes()].concat();
        let Ok(entry) = CString::new(entry) else { return };
        match at.and_then(|at| self.0.get_mut(at)) {
            Some(own) => *own = entry,
            None => self.0.push(entry),
        }
    }

    /// Has the first tracer that is there loaded by the app's runtime.
    fn load_tracer(&mut self, folder: &Path) {
        let is_there = |name| folder.join(name).is_dir();
        let of = |name: &str| format!("{}/{name}", folder.display());
        if is_there("node") {
            let (own, modules) = (of("node/"), of("node/node_modules"));
            self.append("NODE_PATH", ":", &format!("{own}:{modules}"), &own);
            self.append("NODE_OPTIONS", " ", "--require dd-trace/init", "dd-trace/");
        } else if is_there("java") {
            let agent = format!("-javaagent:{}", of("java/dd-java-agent.jar"));
            self.append("JAVA_TOOL_OPTIONS", " ", &agent, "dd-java-agent");
        } else if is_there("dotnet") {
            self.load_dotnet(&of("dotnet/"));
        } else if is_there("python") {
            let own = of("python/");
            self.append("PYTHONPATH", ":", &own, own.trim_end_matches('/'));
        }
    }

    fn load_dotnet(&mut self, home: &str) {
        self.set_default("DD_DOTNET_TRACER_HOME", home);
        // Another profiler than ours goes with a path of its own.
        let own = |profiler: &[u8]| profiler.eq_ignore_ascii_case(DOTNET_PROFILER.as_bytes());
        if self.get("CORECLR_PROFILER").is_none_or(own) {
            self.set_default("CORECLR_ENABLE_PROFILING", "1");
            self.set_default("CORECLR_PROFILER", DOTNET_PROFILER);
            let native = format!("{home}Datadog.Trace.ClrProfiler.Native.so");
            self.set_default("CORECLR_PROFILER_PATH", &native);
        }
    }

    fn remove(&mut self, names: impl Iterator<Item = &'static str>) {
        let names: Vec<&str> = names.collect();
        self.0.retain(|entry| names.iter().all(|name| value(entry, name).is_none()));
    }
}

/// The value of an entry of this name.
fn value<'a>(entry: &'a CStr, name: &str) -> Option<&'a [u8]> {
    entry.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::path::Path;

    use super::{DEFAULTS, made_of};

    fn entries(texts: &[&str]) -> Vec<CString> {
        texts.iter().map(|text| CString::new(*text).unwrap()).collect()
    }

    /// What is made of these entries with these folders there, less the defaults. `/t` stands for where the folders are.
    fn made(texts: &[&str], folders: &[&str], hides_key: bool) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let root_text = root.path().display().to_string();
        let texts: Vec<String> =
            texts.iter().map(|text| text.replace("/t/", &format!("{root_text}/"))).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let is_default = |entry: &String| {
            DEFAULTS.iter().any(|(name, value)| *entry == format!("{name}={value}"))
        };
        made_of(entries(&texts), hides_key, root.path())
            .iter()
            .map(|entry| entry.to_str().unwrap().replace(&root_text, "/t"))
            .filter(|entry| !is_default(entry))
            .collect()
    }

    #[test]
    fn what_is_there_stays_as_it_is_and_defaults_come_behind_it() {
        let given = ["A=1", "no sign", "=", "DD_HOSTNAME=", "A=2", "DD_TRACE_ENABLED=0"];
        let made = made_of(entries(&given), false, Path::new("/nowhere"));
        let (own, added) = made.split_at(given.len());
        assert_eq!(own, entries(&given));
        let expect = [
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED=false",
            "DD_REMOTE_CONFIGURATION_ENABLED=false",
            "DD_APM_ENABLED=true",
        ];
        assert_eq!(added, entries(&expect));
    }

    #[test]
    fn the_first_tracer_that_is_there_is_loaded() {
        let node =
            ["NODE_PATH=/t/node/:/t/node/node_modules", "NODE_OPTIONS=--require dd-trace/init"];
        assert_eq!(made(&[], &["python", "node", "java"], false), node);
        let java = "JAVA_TOOL_OPTIONS=-javaagent:/t/java/dd-java-agent.jar";
        assert_eq!(made(&[], &["python", "dotnet", "java"], false), [java]);
        assert_eq!(made(&[], &["python"], false), ["PYTHONPATH=/t/python/"]);
        assert!(made(&[], &[], false).is_empty() && made(&[], &["ruby"], false).is_empty());
        let dotnet = [
            "DD_DOTNET_TRACER_HOME=/t/dotnet/",
            "CORECLR_ENABLE_PROFILING=1",
            "CORECLR_PROFILER={846F5F1C-F9AE-4B07-969E-05C26BC060D8}",
            "CORECLR_PROFILER_PATH=/t/dotnet/Datadog.Trace.ClrProfiler.Native.so",
        ];
        assert_eq!(made(&[], &["dotnet"], false), dotnet);
    }

    #[test]
    fn it_is_added_to_what_the_user_has_and_only_once() {
        let given = ["NODE_PATH=/lib", "X=1", "NODE_OPTIONS=--max-old-space-size=100"];
        let once = [
            "NODE_PATH=/lib:/t/node/:/t/node/node_modules",
            "X=1",
            "NODE_OPTIONS=--max-old-space-size=100 --require dd-trace/init",
        ];
        assert_eq!(made(&given, &["node"], false), once);
        assert_eq!(made(&once, &["node"], false), once);
        let own = ["NODE_PATH=/t/node/", "NODE_OPTIONS=-r dd-trace/init"];
        assert_eq!(made(&own, &["node"], false), own);
        let own = ["JAVA_TOOL_OPTIONS=-javaagent:/opt/dd-java-agent.jar"];
        assert_eq!(made(&own, &["java"], false), own);
        let both = ["JAVA_TOOL_OPTIONS=-Xmx1g -javaagent:/t/java/dd-java-agent.jar"];
        assert_eq!(made(&["JAVA_TOOL_OPTIONS=-Xmx1g"], &["java"], false), both);
        for own in ["PYTHONPATH=/t/python", "PYTHONPATH=/a:/t/python/"] {
            assert_eq!(made(&[own], &["python"], false), [own]);
        }
        let other = ["CORECLR_PROFILER={other}", "DD_DOTNET_TRACER_HOME=/mine"];
        assert_eq!(made(&other, &["dotnet"], false), other);
    }

    #[test]
    fn keys_are_hidden_where_that_is_wanted() {
        let given = [
            "DD_API_KEY=a",
            "DD_API_KEYS=b",
            "DD_LOGS_CONFIG_API_KEY=c",
            "DD_ADDITIONAL_ENDPOINTS={}",
        ];
        assert_eq!(made(&given, &[], false), given);
        assert_eq!(made(&given, &[], true), ["DD_API_KEYS=b"]);
    }
}
