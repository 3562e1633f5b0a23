//! What the platform decides, and that the user's word counts before it.

use std::time::Duration;

use super::wrap;

fn stop_timeout(env: &[(&str, &str)]) -> Duration {
    wrap(env).0.stop_timeout
}

#[test]
fn the_stop_deadline_is_the_platforms_unless_the_user_names_one() {
    let check = |env: &[(&str, &str)], ms: u64| {
        assert_eq!(stop_timeout(env), Duration::from_millis(ms), "{env:?}");
    };
    check(&[], 9500);
    check(&[("K_SERVICE", "a")], 9500);
    check(&[("CLOUD_RUN_JOB", "a")], 9500);
    check(&[("WEBSITE_STACK", "DOCKER")], 4500);
    check(&[("WEBSITE_STACK", "DOCKER"), ("WEBSITES_CONTAINER_STOP_TIME_LIMIT", "60")], 59_500);
    check(&[("CONTAINER_APP_NAME", "a")], 29_500);
    check(&[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/a")], 29_500);
    check(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], 29_500);
    check(&[("CONTAINER_APP_NAME", "a"), ("DD_PILLION_STOP_TIMEOUT", "100s")], 100_000);
}

#[test]
fn the_platforms_tags_precede_the_users_and_those_are_said_as_they_are() {
    let (settings, problems) = wrap(&[
        ("K_SERVICE", "shop"),
        ("FUNCTION_TARGET", "Run"),
        ("DD_TAGS", "team:web,service_name:mine,env:prod"),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
    let tags = &settings.pipeline.span_tags;
    let of = |key: &str| -> Vec<_> {
        tags.iter().filter(|(own, _)| own == key).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(
        (of("service_name"), of("team"), of("_dd.origin")),
        (vec!["shop"], vec!["web"], vec!["cloudrun"])
    );
    assert_eq!(settings.pipeline.env, "prod");
    assert_eq!(settings.pipeline.origin, "cloudrun");
    assert!(settings.pipeline.discards_own_calls);
    assert_eq!(settings.pipeline.function_tags, "team:web,service_name:mine,env:prod");
    let profile = &settings.proxy.profile_tags;
    assert!(profile.contains(&("functionname".to_owned(), "shop".to_owned())), "{profile:?}");
    assert!(settings.proxy.tags.contains(&("service_name".to_owned(), "shop".to_owned())));
}

#[test]
fn tags_of_a_pod_go_into_payloads_and_without_a_platform_there_are_none() {
    let (pod, _) = wrap(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("POD_NAME", "shop-1")]);
    assert_eq!(pod.pipeline.container_tags, "pod_name:shop-1");
    assert!(pod.pipeline.span_tags.is_empty() && pod.pipeline.origin.is_empty());
    let (local, _) = wrap(&[("HOSTNAME", "box"), ("DD_TAGS", "a:b")]);
    assert_eq!(local.pipeline.span_tags, [("a".to_owned(), "b".to_owned())]);
    assert!(!local.pipeline.discards_own_calls && !pod.pipeline.discards_own_calls);
    assert!(local.pipeline.function_tags.is_empty() && local.pipeline.container_tags.is_empty());
}
