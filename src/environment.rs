//! The environment of the app: ours, entry by entry as it was given, and what `datadog-init` adds to it (spec: serverless-init 1 and 2.2).
//!
//! A variable that is set is never replaced. Defaults are added where there is none; the folder of a tracer is added to a list of folders or
//! options, once, and only where the tracer is in it: a runtime that is to load what is not there does not start. Datadog has Ruby's tracer in the Gemfile and PHP's in the interpreter's own settings, so nothing is to be added for them.

use std::ffi::{CStr, CString};
use std::path::Path;

/// Where images have tracers that are to be loaded without the app's doing.
pub const FOLDER: &str = "/dd_tracer";

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

/// The environment of the app, made of ours, without the variables of the names `hidden`. `folder`: [`FOLDER`].
pub fn of_app(entries: Vec<CString>, hidden: &[&str], folder: &Path) -> Vec<CString> {
    let mut environment = Environment(entries);
    for (name, value) in DEFAULTS {
        environment.set_default(name, value);
    }
    environment.load_tracer(folder);
    environment.remove(hidden);
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

    /// Puts `text` behind the value of a variable, with `between` before it.
    fn append(&mut self, name: &str, between: &str, text: &str) {
        let at = self.0.iter().position(|entry| value(entry, name).is_some());
        let Some(own) = at.and_then(|at| self.0.get_mut(at)) else {
            return self.add(name, text.as_bytes());
        };
        let old = value(own, name).unwrap_or_default();
        let between = if old.is_empty() { "" } else { between };
        let entry = [name.as_bytes(), b"=", old, between.as_bytes(), text.as_bytes()].concat();
        if let Ok(entry) = CString::new(entry) {
            *own = entry;
        }
    }

    /// Puts a folder behind those of a list, unless it is one of them.
    fn append_folder(&mut self, name: &str, folder: &str) {
        let bare = |folder: &[u8]| folder.strip_suffix(b"/").unwrap_or(folder).to_owned();
        let own = bare(folder.as_bytes());
        let is_there = |old: &[u8]| old.split(|byte| *byte == b':').any(|old| bare(old) == own);
        if !self.get(name).is_some_and(is_there) {
            self.append(name, ":", folder);
        }
    }

    /// Puts an option behind others, unless they name what it is about already.
    fn append_option(&mut self, name: &str, option: &str, about: &str) {
        let names = |old: &[u8]| old.windows(about.len()).any(|part| part == about.as_bytes());
        if !self.get(name).is_some_and(names) {
            self.append(name, " ", option);
        }
    }

    /// Has the first tracer that is there loaded by the app's runtime.
    fn load_tracer(&mut self, folder: &Path) {
        // Most images have none, and this is before the app's start.
        if !folder.exists() {
            return;
        }
        let is_there = |name: &str| folder.join(name).exists();
        let of = |name: &str| format!("{}/{name}", folder.display());
        if is_there("node/dd-trace") || is_there("node/node_modules/dd-trace") {
            self.append_folder("NODE_PATH", &of("node/"));
            self.append_folder("NODE_PATH", &of("node/node_modules"));
            self.append_option("NODE_OPTIONS", "--require dd-trace/init", "dd-trace/");
        } else if is_there("java/dd-java-agent.jar") {
            let agent = format!("-javaagent:{}", of("java/dd-java-agent.jar"));
            self.append_option("JAVA_TOOL_OPTIONS", &agent, "dd-java-agent");
        } else if is_there("dotnet/Datadog.Trace.ClrProfiler.Native.so") {
            self.load_dotnet(&of("dotnet/"));
        } else if is_there("python/ddtrace") {
            self.append_folder("PYTHONPATH", &of("python/"));
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

    fn remove(&mut self, names: &[&str]) {
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

    use super::{DEFAULTS, of_app};

    fn entries(texts: &[&str]) -> Vec<CString> {
        texts.iter().map(|text| CString::new(*text).unwrap()).collect()
    }

    /// What the folders of tracers have in them.
    const TRACERS: [(&str, &str); 4] = [
        ("node", "node_modules/dd-trace"),
        ("java", "dd-java-agent.jar"),
        ("dotnet", "Datadog.Trace.ClrProfiler.Native.so"),
        ("python", "ddtrace"),
    ];

    /// What is made of these entries with these tracers there, less the defaults. `/t` stands for where they are; a name with a slash is an empty
    /// folder.
    fn made(texts: &[&str], tracers: &[&str], hidden: &[&str]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for tracer in tracers {
            let inside = TRACERS.iter().find(|(name, _)| name == tracer).map(|(_, inside)| *inside);
            let folder = root.path().join(tracer.trim_end_matches('/'));
            std::fs::create_dir_all(folder.join(inside.unwrap_or_default())).unwrap();
        }
        let root_text = root.path().display().to_string();
        let texts: Vec<String> =
            texts.iter().map(|text| text.replace("/t/", &format!("{root_text}/"))).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let is_default = |entry: &String| {
            DEFAULTS.iter().any(|(name, value)| *entry == format!("{name}={value}"))
        };
        of_app(entries(&texts), hidden, root.path())
            .iter()
            .map(|entry| entry.to_str().unwrap().replace(&root_text, "/t"))
            .filter(|entry| !is_default(entry))
            .collect()
    }

    #[test]
    fn what_is_there_stays_as_it_is_and_defaults_come_behind_it() {
        let given = ["A=1", "no sign", "=", "DD_HOSTNAME=", "A=2", "DD_TRACE_ENABLED=0"];
        let made = of_app(entries(&given), &[], Path::new("/nowhere"));
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
        assert_eq!(made(&[], &["python", "node", "java"], &[]), node);
        let java = "JAVA_TOOL_OPTIONS=-javaagent:/t/java/dd-java-agent.jar";
        assert_eq!(made(&[], &["python", "dotnet", "java"], &[]), [java]);
        assert_eq!(made(&[], &["python"], &[]), ["PYTHONPATH=/t/python/"]);
        assert!(made(&[], &[], &[]).is_empty() && made(&[], &["ruby"], &[]).is_empty());
        // Where there is none in the folder, a runtime would not start.
        assert_eq!(
            made(&[], &["node/", "java/", "dotnet/", "python"], &[]),
            ["PYTHONPATH=/t/python/"]
        );
        let dotnet = [
            "DD_DOTNET_TRACER_HOME=/t/dotnet/",
            "CORECLR_ENABLE_PROFILING=1",
            "CORECLR_PROFILER={846F5F1C-F9AE-4B07-969E-05C26BC060D8}",
            "CORECLR_PROFILER_PATH=/t/dotnet/Datadog.Trace.ClrProfiler.Native.so",
        ];
        assert_eq!(made(&[], &["dotnet"], &[]), dotnet);
    }

    #[test]
    fn it_is_added_to_what_the_user_has_and_only_once() {
        let given = ["NODE_PATH=/lib", "X=1", "NODE_OPTIONS=--max-old-space-size=100"];
        let once = [
            "NODE_PATH=/lib:/t/node/:/t/node/node_modules",
            "X=1",
            "NODE_OPTIONS=--max-old-space-size=100 --require dd-trace/init",
        ];
        assert_eq!(made(&given, &["node"], &[]), once);
        assert_eq!(made(&once, &["node"], &[]), once);
        let own = ["NODE_PATH=/t/node", "NODE_OPTIONS=-r dd-trace/init"];
        let whole = ["NODE_PATH=/t/node:/t/node/node_modules", "NODE_OPTIONS=-r dd-trace/init"];
        assert_eq!(made(&own, &["node"], &[]), whole);
        let others = ["PYTHONPATH=/t/python-x"];
        assert_eq!(made(&others, &["python"], &[]), ["PYTHONPATH=/t/python-x:/t/python/"]);
        let own = ["JAVA_TOOL_OPTIONS=-javaagent:/opt/dd-java-agent.jar"];
        assert_eq!(made(&own, &["java"], &[]), own);
        let both = ["JAVA_TOOL_OPTIONS=-Xmx1g -javaagent:/t/java/dd-java-agent.jar"];
        assert_eq!(made(&["JAVA_TOOL_OPTIONS=-Xmx1g"], &["java"], &[]), both);
        for own in ["PYTHONPATH=/t/python", "PYTHONPATH=/a:/t/python/"] {
            assert_eq!(made(&[own], &["python"], &[]), [own]);
        }
        let other = ["CORECLR_PROFILER={other}", "DD_DOTNET_TRACER_HOME=/mine"];
        assert_eq!(made(&other, &["dotnet"], &[]), other);
    }

    #[test]
    fn what_is_to_be_hidden_is_not_there() {
        let given = ["DD_API_KEY=a", "DD_API_KEYS=b", "DD_API_KEY=c"];
        assert_eq!(made(&given, &[], &[]), given);
        assert_eq!(made(&given, &[], &["DD_API_KEY"]), ["DD_API_KEYS=b"]);
    }
}
