//! The settings of logs in files.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::Key;
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::logs::tail::{Select, Settings, app_service_pattern};
use crate::platform::{self, Platform};

/// Which files.
pub const PATH: Key = Key {
    names: &["DD_SERVERLESS_LOG_PATH"],
    yaml: &[],
    default: "",
    meaning: "Log files to follow, as a path or as a pattern with `*`, `?` and `[…]`, where `DD_LOGS_ENABLED` is on: `/shared-volume/logs/*.log` in a \
              sidecar. Files that are there at the start are read from their beginning, or from where the last run ended. Empty: none.",
};
/// Those of an instance of App Service.
pub const INSTANCE: Key = Key {
    names: &["DD_AAS_INSTANCE_LOGGING_ENABLED"],
    yaml: &[],
    default: "false",
    meaning: "On App Service, `true` follows the logs that the platform writes for this instance (`/home/LogFiles/*<COMPUTERNAME>*.log`) in place \
              of that path.",
};
/// The end of their names.
pub const DESCRIPTOR: Key = Key {
    names: &["DD_AAS_INSTANCE_LOG_FILE_DESCRIPTOR"],
    yaml: &[],
    default: "",
    meaning: "What their names end with before `.log`, such as `_default_docker`. Empty: whatever it is.",
};
/// The folder of the registry.
pub const RUN_PATH: Key = Key {
    names: &["DD_LOGS_CONFIG_RUN_PATH"],
    yaml: &["logs_config.run_path"],
    default: "",
    meaning: "The folder of `registry.json`, which says how far each file was read. Empty: the folder of the files. Name another one where that \
              can't be written.",
};
/// How many.
pub const FILES_MAX: Key = Key {
    names: &["DD_LOGS_CONFIG_OPEN_FILES_LIMIT"],
    yaml: &["logs_config.open_files_limit"],
    default: "500",
    meaning: "Files that are followed at once, 1 to 10000.",
};
/// Which of many.
pub const SELECT: Key = Key {
    names: &["DD_LOGS_CONFIG_FILE_WILDCARD_SELECTION_MODE"],
    yaml: &["logs_config.file_wildcard_selection_mode"],
    default: "by_name",
    meaning: "Which of more: the last `by_name`, or those that were written last, `by_modification_time`.",
};
/// How often new ones are looked for.
pub const SCAN_PERIOD: Key = Key {
    names: &["DD_LOGS_CONFIG_FILE_SCAN_PERIOD"],
    yaml: &["logs_config.file_scan_period"],
    default: "1",
    meaning: "Seconds between two looks for new files, 0.1 to 3600.",
};
/// How long a file that was rotated away is read on.
pub const CLOSE_TIMEOUT: Key = Key {
    names: &["DD_LOGS_CONFIG_CLOSE_TIMEOUT"],
    yaml: &["logs_config.close_timeout"],
    default: "60",
    meaning: "Seconds that a file is read on after it was renamed or removed, up to 3600.",
};

/// The settings of logs in files, in the order of the README.
pub const ALL: &[&Key] =
    &[&PATH, &INSTANCE, &DESCRIPTOR, &RUN_PATH, &FILES_MAX, &SELECT, &SCAN_PERIOD, &CLOSE_TIMEOUT];

const FILES_MOST: usize = 10_000;
const SCAN_PERIOD_LEAST: Duration = Duration::from_millis(100);
const TIME_MOST: Duration = Duration::from_secs(3600);

impl Reader<'_> {
    /// The files to follow, where there are some.
    pub(super) fn log_files(&mut self, platform: &Platform) -> Option<Settings> {
        let has_instance = self.take(&INSTANCE, false, parse::boolean);
        let descriptor = self.text(&DESCRIPTOR).unwrap_or_default();
        let mut settings = Settings::new(self.path(&PATH).unwrap_or_default());
        if has_instance && platform.kind == platform::Kind::AppService {
            let computer_name = self.env.variable("COMPUTERNAME").unwrap_or_default();
            settings = Settings::new(app_service_pattern(&computer_name, &descriptor));
        }
        if let Some(folder) = self.path(&RUN_PATH) {
            settings.registry_folder = folder;
        }
        settings.files_max = self.take(&FILES_MAX, settings.files_max, files_max);
        settings.select = self.take(&SELECT, settings.select, select);
        settings.scan_ms =
            self.take(&SCAN_PERIOD, settings.scan_ms, |text| millis(text, SCAN_PERIOD_LEAST));
        settings.close_ms =
            self.take(&CLOSE_TIMEOUT, settings.close_ms, |text| millis(text, Duration::ZERO));
        (settings.pattern != PathBuf::new()).then_some(settings)
    }
}

fn files_max(text: &str) -> Result<usize, Wrong> {
    match parse::count(text)? {
        count if count > FILES_MOST => Err(format!("is more than {FILES_MOST}")),
        count => Ok(count),
    }
}

fn select(text: &str) -> Result<Select, Wrong> {
    match text {
        "by_name" => Ok(Select::ByName),
        "by_modification_time" => Ok(Select::ByModificationTime),
        _ => Err("is neither by_name nor by_modification_time".to_owned()),
    }
}

fn millis(text: &str, least: Duration) -> Result<u64, Wrong> {
    let time = parse::duration_within(text, least, TIME_MOST)?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::{Env, Mode, read};
    use super::{Select, Settings};

    fn of(pairs: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Mode::Sidecar);
        (settings.logs.files, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn no_file_is_followed_unless_one_is_named() {
        assert_eq!(of(&[]), (None, Vec::new()));
        let (settings, problems) = of(&[("DD_SERVERLESS_LOG_PATH", "/shared/logs/*.log")]);
        assert_eq!(
            (settings, problems.len()),
            (Some(Settings::new("/shared/logs/*.log".into())), 0)
        );
    }

    #[test]
    fn files_can_be_chosen_and_what_is_wrong_is_named() {
        let path = ("DD_SERVERLESS_LOG_PATH", "/logs/a.log");
        let (settings, problems) = of(&[
            path,
            ("DD_LOGS_CONFIG_RUN_PATH", "/run/pillion"),
            ("DD_LOGS_CONFIG_OPEN_FILES_LIMIT", "7"),
            ("DD_LOGS_CONFIG_FILE_WILDCARD_SELECTION_MODE", "by_modification_time"),
            ("DD_LOGS_CONFIG_FILE_SCAN_PERIOD", "0.5"),
            ("DD_LOGS_CONFIG_CLOSE_TIMEOUT", "0"),
        ]);
        assert_eq!(problems, [""; 0]);
        let expect = Settings {
            registry_folder: PathBuf::from("/run/pillion"),
            files_max: 7,
            select: Select::ByModificationTime,
            scan_ms: 500,
            close_ms: 0,
            ..Settings::new("/logs/a.log".into())
        };
        assert_eq!(settings, Some(expect));
        for (name, bad) in [
            ("DD_LOGS_CONFIG_OPEN_FILES_LIMIT", "0"),
            ("DD_LOGS_CONFIG_OPEN_FILES_LIMIT", "10001"),
            ("DD_LOGS_CONFIG_FILE_WILDCARD_SELECTION_MODE", "by_size"),
            ("DD_LOGS_CONFIG_FILE_SCAN_PERIOD", "0"),
            ("DD_LOGS_CONFIG_CLOSE_TIMEOUT", "3601"),
            ("DD_AAS_INSTANCE_LOGGING_ENABLED", "perhaps"),
        ] {
            let (settings, problems) = of(&[path, (name, bad)]);
            assert!(problems.len() == 1 && problems[0].contains(name), "{problems:?}");
            assert_eq!(settings, Some(Settings::new("/logs/a.log".into())), "{name}");
        }
    }

    #[test]
    fn an_instance_of_app_service_follows_its_own_files_first() {
        let app_service =
            [("WEBSITE_STACK", "DOCKER"), ("WEBSITE_SITE_NAME", "shop"), ("COMPUTERNAME", "lw0")];
        let pattern = |more: &[(&str, &str)]| {
            of(&[&app_service[..], more].concat()).0.map(|settings| settings.pattern)
        };
        let instance = ("DD_AAS_INSTANCE_LOGGING_ENABLED", "1");
        let path = ("DD_SERVERLESS_LOG_PATH", "/logs/a.log");
        let own = Some(Path::new("/home/LogFiles/*lw0*.log").to_owned());
        assert_eq!(pattern(&[path]), Some("/logs/a.log".into()));
        assert_eq!(pattern(&[path, instance]), own);
        let descriptor = ("DD_AAS_INSTANCE_LOG_FILE_DESCRIPTOR", "_default_docker");
        assert_eq!(
            pattern(&[instance, descriptor]),
            Some("/home/LogFiles/*lw0*_default_docker.log".into())
        );
        // Elsewhere there are no such files.
        assert_eq!(of(&[instance]).0, None);
    }
}
