//! `datadog.yaml`: where it is looked for, how it is read, and what stands in it under a setting's keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use serde_json::{Map, Value};

use super::problem::Problem;
use super::{small, yaml};
use crate::limits::CONF_FILE_BYTES_MAX;

/// Its name in a folder.
const NAME: &str = "datadog.yaml";

/// Where it is looked for unless `DD_CONF_PATH` says otherwise.
const USUAL: &str = "/etc/datadog-agent/datadog.yaml";

/// How long the app's start may wait for it.
const TIME_MAX: Duration = Duration::from_secs(1);

/// The settings of a file.
pub(super) struct File {
    pub(super) path: String,
    tree: Map<String, Value>,
}

impl File {
    /// The file (or that in the folder) at `named`, else the one in the usual place, which may be missing. Where there is none, that costs one
    /// system call.
    pub(super) fn find(named: Option<PathBuf>) -> Result<Option<Self>, Problem> {
        Self::find_in(named, Path::new(USUAL))
    }

    fn find_in(named: Option<PathBuf>, usual: &Path) -> Result<Option<Self>, Problem> {
        // The standard library would ask twice, to be sure that the system knows the question.
        let is_missing = |path: &Path| {
            matches!(access(path, AccessFlags::F_OK), Err(Errno::ENOENT | Errno::ENOTDIR))
        };
        let (path, remedy) = match named {
            Some(path) => (path, "mend it, or DD_CONF_PATH"),
            None if is_missing(usual) => return Ok(None),
            None => (usual.to_owned(), "mend it, or name another with DD_CONF_PATH"),
        };
        let shown = path.display().to_string();
        let read = move || {
            let (path, text) = small::text(&path, Some(NAME), CONF_FILE_BYTES_MAX)?;
            Ok(small::Found { path, content: Value::Object(yaml::parse(&text)?) })
        };
        let read = small::within(TIME_MAX, Box::new(read))
            .map_err(|wrong| Problem::of_file(&shown, &wrong, remedy))?;
        let Value::Object(tree) = read.content else { return Ok(None) };
        Ok(Some(Self { path: read.path.display().to_string(), tree }))
    }

    /// The file at `path` with this text.
    #[cfg(test)]
    pub(super) fn of(path: &str, text: &str) -> Result<Self, super::parse::Wrong> {
        Ok(Self { path: path.to_owned(), tree: yaml::parse(text)? })
    }

    /// What stands under `key`, names between dots in any case; nothing for null and for blank text.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let value = look_up(&self.tree, key)?;
        let is_nothing = match value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        (!is_nothing).then_some(value)
    }

    /// Shows every key with what is under it, from above to below: below one only where `visit` says so.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&str, &Value) -> bool) {
        each_below("", &self.tree, visit);
    }
}

fn look_up<'a>(tree: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let (first, rest) =
        key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let in_any_case = || tree.iter().find(|(own, _)| own.eq_ignore_ascii_case(first));
    let value = tree.get(first).or_else(|| Some(in_any_case()?.1))?;
    rest.map_or(Some(value), |rest| look_up(value.as_object()?, rest))
}

fn each_below(above: &str, tree: &Map<String, Value>, visit: &mut dyn FnMut(&str, &Value) -> bool) {
    for (name, value) in tree {
        let key = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        if visit(&key, value)
            && let Value::Object(below) = value
        {
            each_below(&key, below, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::File;

    #[test]
    fn the_named_file_goes_before_the_usual_one_which_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (own, usual) = (folder.path().join("own"), folder.path().join("usual.yaml"));
        let find = |named: Option<&Path>| File::find_in(named.map(Path::to_owned), &usual);
        assert!(find(None).unwrap().is_none());
        fs::write(&usual, "site: usual").unwrap();
        assert_eq!(find(None).unwrap().unwrap().get("site").unwrap(), "usual");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("datadog.yaml"), "site: own").unwrap();
        for named in [own.clone(), own.join("datadog.yaml")] {
            let file = find(Some(&named)).unwrap().unwrap();
            assert_eq!(file.get("site").unwrap(), "own");
            assert_eq!(file.path, own.join("datadog.yaml").display().to_string());
        }
    }

    #[test]
    fn a_file_that_is_named_and_missing_or_broken_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        let problem = |path: &Path| {
            let found = File::find_in(Some(path.to_owned()), Path::new("/none"));
            found.err().unwrap().to_string()
        };
        let shown = path.display();
        assert_eq!(
            problem(&path),
            format!(
                "{shown} can't be read (No such file or directory): its settings are not used; mend it, or DD_CONF_PATH"
            )
        );
        fs::write(&path, "api_key: s3cr3t\n- broken").unwrap();
        let text = problem(&path);
        assert!(text.starts_with(&format!("{shown} is not valid YAML (")), "{text}");
        assert!(text.contains("line 2, column ") && !text.contains("s3cr3t"), "{text}");
        let usual = File::find_in(None, &path).err().unwrap().to_string();
        assert!(usual.ends_with("mend it, or name another with DD_CONF_PATH"), "{usual}");
        assert!(File::find_in(None, &path.join("below")).unwrap().is_none());
    }

    #[test]
    fn keys_are_found_in_any_case_and_nothing_is_not_a_value() {
        let text = "apm_config: {ENV: x, env2: ' ', env3: , list: []}\nSite: y";
        let file = File::of("f", text).unwrap();
        assert_eq!(file.get("apm_config.env").unwrap(), "x");
        assert_eq!(file.get("site").unwrap(), "y");
        assert!(file.get("apm_config.list").is_some());
        for key in ["apm_config.env2", "apm_config.env3", "apm_config.none", "site.x", "none"] {
            assert!(file.get(key).is_none(), "{key}");
        }
    }
}
