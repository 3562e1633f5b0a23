//! Each platform with the environment as its documentation gives it, and servers of metadata that answer, fail and hang.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::{FIRST_ANSWER_MAX, Kind, Platform, Tag, VARIABLES, detect, is_high_cardinality};

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn platform(env: Pairs<'_>) -> Platform {
    let find = |name: &str| {
        let is_known = VARIABLES.contains(&name) || name.starts_with("DD_");
        assert!(is_known, "{name} is not among the variables that are kept");
        env.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
    };
    detect(&find)
}

fn texts(tags: &[Tag]) -> Vec<String> {
    let mut texts: Vec<_> = tags.iter().map(|tag| format!("{}:{}", tag.key, tag.value)).collect();
    texts.sort();
    texts
}

fn sorted(texts: &[&str]) -> Vec<String> {
    let mut texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    texts.sort();
    texts
}

/// The kind, the deadline in seconds and the tags that an environment alone makes.
fn check(env: Pairs<'_>, kind: Kind, seconds: u64, tags: &[&str]) -> Platform {
    let platform = platform(env);
    assert_eq!(platform.kind, kind, "{env:?}");
    assert_eq!(platform.stop_grace, Duration::from_secs(seconds), "{env:?}");
    assert_eq!(texts(platform.tags.logs()), sorted(tags), "{env:?}");
    platform
}

/// Runs what a source learns to its end, with what it told each time and when.
fn learnt(platform: &Platform, patience: Duration) -> Vec<(Duration, Vec<String>)> {
    let source = platform.source.clone().expect("something to ask");
    let told = RefCell::new(Vec::new());
    let start = Instant::now();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let learning = async {
        let learn = source.learn(|tags| told.borrow_mut().push((start.elapsed(), texts(tags))));
        drop(tokio::time::timeout(patience, learn).await);
    };
    LocalSet::new().block_on(&runtime, learning);
    told.into_inner()
}

/// A server that answers each path with what `answer` says (all that is on the wire), or keeps silent.
fn server(answer: impl Fn(&str, usize) -> Option<String> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (answer, asked) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut piece = [0; 512];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut piece).unwrap_or(0) {
                        0 => return,
                        bytes => head.extend_from_slice(&piece[..bytes]),
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let number = asked.fetch_add(1, Ordering::SeqCst);
                match answer(&head, number) {
                    Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                    None => thread::sleep(Duration::from_secs(30)),
                }
            });
        }
    });
    port
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn google(head: &str) -> String {
    assert!(head.to_ascii_lowercase().contains("\r\nmetadata-flavor: google\r\n"), "{head}");
    match head.split(' ').nth(1).unwrap() {
        "/computeMetadata/v1/instance/id" => ok("00F46B929EAD"),
        "/computeMetadata/v1/instance/region" => ok("projects/735/regions/europe-west1"),
        "/computeMetadata/v1/project/project-id" => ok("My-Shop"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_cloud_run_service() {
    let port = server(|head, _| Some(google(head)));
    let host = format!("127.0.0.1:{port}");
    let env = [
        ("PORT", "8080"),
        ("K_SERVICE", "hello"),
        ("K_REVISION", "hello-00001-abc"),
        ("K_CONFIGURATION", "hello"),
        ("GCE_METADATA_HOST", &host),
    ];
    let tags = [
        "revision_name:hello-00001-abc",
        "gcr.revision_name:hello-00001-abc",
        "service_name:hello",
        "gcr.service_name:hello",
        "configuration_name:hello",
        "gcr.configuration_name:hello",
        "origin:cloudrun",
        "_dd.origin:cloudrun",
    ];
    let mut platform = check(&env, Kind::CloudRun, 10, &tags);
    let told = learnt(&platform, Duration::from_secs(20));
    let later = [
        "container_id:00f46b929ead",
        "gcr.container_id:00f46b929ead",
        "location:europe-west1",
        "gcr.location:europe-west1",
        "project_id:my-shop",
        "gcr.project_id:my-shop",
        "gcr.resource_name:projects/my-shop/locations/europe-west1/services/hello",
    ];
    assert_eq!(told.iter().map(|(_, tags)| tags.clone()).collect::<Vec<_>>(), [sorted(&later)]);
    platform.tags.learn(vec![Tag::new("container_id", "00f46b929ead"), Tag::new("location", "x")]);
    let of_metrics: Vec<_> = platform.tags.metrics().map(|tag| tag.key.as_str()).collect();
    assert!(of_metrics.contains(&"location") && !of_metrics.contains(&"container_id"));
    assert_eq!(platform.tags.spans().len(), tags.len() + 2);
    assert_eq!(
        (platform.kind.log_source(), platform.kind.metric_prefix()),
        (Some("cloudrun"), "gcp.run.container.")
    );
}

#[test]
fn a_cloud_run_function_also_without_a_target() {
    let named = [
        ("K_SERVICE", "resize"),
        ("K_REVISION", "resize-00002-x"),
        ("K_CONFIGURATION", "resize"),
        ("FUNCTION_TARGET", "Resize"),
        ("FUNCTION_SIGNATURE_TYPE", "cloudevent"),
    ];
    let tags = [
        "revision_name:resize-00002-x",
        "gcrfx.revision_name:resize-00002-x",
        "service_name:resize",
        "gcrfx.service_name:resize",
        "configuration_name:resize",
        "gcrfx.configuration_name:resize",
        "gcrfx.build_function_target:Resize",
        "gcrfx.function_signature_type:cloudevent",
        "origin:cloudrun",
        "_dd.origin:cloudrun",
    ];
    let platform = check(&named, Kind::CloudRunFunction, 10, &tags);
    let profile: Vec<_> = platform.tags.profiles();
    assert!(profile.contains(&("functionname".to_owned(), "resize".to_owned())), "{profile:?}");
    let port = server(|head, _| Some(google(head)));
    let host = format!("127.0.0.1:{port}");
    for (more, resource) in [
        (("FUNCTION_TARGET", "Resize"), "services/resize/functions/Resize"),
        (("FUNCTION_SIGNATURE_TYPE", "http"), "services/resize"),
        (("LOG_EXECUTION_ID", "true"), "services/resize"),
    ] {
        let platform =
            self::platform(&[("K_SERVICE", "resize"), ("GCE_METADATA_HOST", &host), more]);
        assert_eq!(platform.kind, Kind::CloudRunFunction);
        let told = learnt(&platform, Duration::from_secs(20));
        let name =
            format!("gcrfx.resource_name:projects/my-shop/locations/europe-west1/{resource}");
        assert!(told[0].1.contains(&name), "{told:?}");
        assert!(told[0].1.contains(&"gcrfx.location:europe-west1".to_owned()), "{told:?}");
    }
}

#[test]
fn a_cloud_run_job() {
    let port = server(|head, _| Some(google(head)));
    let host = format!("127.0.0.1:{port}");
    let env = [
        ("CLOUD_RUN_JOB", "import"),
        ("CLOUD_RUN_EXECUTION", "import-x7"),
        ("CLOUD_RUN_TASK_INDEX", "0"),
        ("CLOUD_RUN_TASK_ATTEMPT", "1"),
        ("CLOUD_RUN_TASK_COUNT", "4"),
        ("GCE_METADATA_HOST", &host),
    ];
    let tags = [
        "job_name:import",
        "gcrj.job_name:import",
        "gcrj.execution_name:import-x7",
        "gcrj.task_index:0",
        "gcrj.task_attempt:1",
        "gcrj.task_count:4",
        "origin:cloudrunjobs",
        "_dd.origin:cloudrunjobs",
    ];
    let platform = check(&env, Kind::CloudRunJob, 10, &tags);
    let told = learnt(&platform, Duration::from_secs(20));
    let name = "gcrj.resource_name:projects/my-shop/locations/europe-west1/jobs/import".to_owned();
    assert!(told[0].1.contains(&name), "{told:?}");
    let of_metrics: Vec<_> = platform.tags.metrics().map(|tag| tag.key.as_str()).collect();
    assert_eq!(of_metrics, ["job_name", "gcrj.job_name", "origin", "_dd.origin"]);
    assert_eq!(platform.kind.log_source(), Some("cloudrun"));
    assert_eq!(
        (platform.kind.metric_prefix(), platform.kind.usage_prefix()),
        ("gcp.run.job.", "gcp.run.container.")
    );
}

#[test]
fn a_container_app_and_a_job_of_container_apps() {
    let env = [
        ("CONTAINER_APP_NAME", "Shop"),
        ("CONTAINER_APP_ENV_DNS_SUFFIX", "blue-sky-1.westeurope.azurecontainerapps.io"),
        ("CONTAINER_APP_REVISION", "shop--1"),
        ("CONTAINER_APP_REPLICA_NAME", "shop--1-abc"),
        ("CONTAINER_APP_HOSTNAME", "shop--1.blue-sky-1.westeurope.azurecontainerapps.io"),
        ("DD_AZURE_SUBSCRIPTION_ID", "0123-45"),
        ("DD_AZURE_RESOURCE_GROUP", "Group"),
    ];
    let resource =
        "/subscriptions/0123-45/resourcegroups/Group/providers/microsoft.app/containerapps/shop";
    let (plain, own) = (format!("resource_id:{resource}"), format!("aca.resource.id:{resource}"));
    let mut tags = vec![
        "app_name:Shop",
        "aca.app.name:Shop",
        "region:westeurope",
        "aca.app.region:westeurope",
        "revision:shop--1",
        "aca.app.revision:shop--1",
        "replica_name:shop--1-abc",
        "aca.replica.name:shop--1-abc",
        "subscription_id:0123-45",
        "aca.subscription.id:0123-45",
        "resource_group:Group",
        "aca.resource.group:Group",
        &plain,
        &own,
    ];
    let origin = ["origin:containerapp", "_dd.origin:containerapp"];
    tags.extend(origin);
    let platform = check(&env, Kind::ContainerApps, 30, &tags);
    assert_eq!(platform.source, None);
    assert!(platform.tags.metrics().all(|tag| !tag.key.contains("replica")));
    assert_eq!(platform.tags.profiles().len(), 7 + 4 + 1);
    // A job has no suffix, as shells have it that were started without one; and none of these may be a panic.
    let job = [("CONTAINER_APP_JOB_NAME", "nightly"), ("CONTAINER_APP_REPLICA_NAME", "nightly-x")];
    let tags = [
        "app_name:nightly",
        "aca.app.name:nightly",
        "replica_name:nightly-x",
        "aca.replica.name:nightly-x",
    ];
    check(&job, Kind::ContainerApps, 30, &[&tags[..], &origin].concat());
    for suffix in ["", "io", "azurecontainerapps.io", "..", "."] {
        let env = [("CONTAINER_APP_NAME", "a"), ("CONTAINER_APP_ENV_DNS_SUFFIX", suffix)];
        check(
            &env,
            Kind::ContainerApps,
            30,
            &[&["app_name:a", "aca.app.name:a"][..], &origin].concat(),
        );
    }
}

#[test]
fn an_app_of_app_service_and_its_stop_limit() {
    let env = [
        ("WEBSITE_STACK", "DOCKER"),
        ("WEBSITE_SITE_NAME", "shop"),
        ("WEBSITE_OWNER_NAME", "0123-45+group-WestEuropewebspace-Linux"),
        ("WEBSITE_RESOURCE_GROUP", "group"),
        ("WEBSITE_INSTANCE_ID", "ff00"),
        ("COMPUTERNAME", "lw0sdlwk"),
        ("REGION_NAME", "westeurope"),
    ];
    let tags = [
        "app_name:shop",
        "region:westeurope",
        "aas.environment.instance_id:ff00",
        "aas.environment.instance_name:lw0sdlwk",
        "aas.environment.os:linux",
        "aas.environment.runtime:Container",
        "aas.resource.group:group",
        "aas.resource.id:/subscriptions/0123-45/resourcegroups/group/providers/microsoft.web/sites/shop",
        "aas.site.kind:app",
        "aas.site.name:shop",
        "aas.site.type:app",
        "aas.subscription.id:0123-45",
        "origin:appservice",
        "_dd.origin:appservice",
    ];
    check(&env, Kind::AppService, 5, &tags);
    for (limit, seconds) in
        [("60", 60), (" 30 ", 30), ("900", 120), ("0", 5), ("soon", 5), ("-1", 5)]
    {
        let env = [("WEBSITE_STACK", "NODE"), ("WEBSITES_CONTAINER_STOP_TIME_LIMIT", limit)];
        assert_eq!(platform(&env).stop_grace, Duration::from_secs(seconds), "{limit}");
    }
    // What is missing is left out; an owner without a `+` names no subscription.
    let bare = [
        "aas.environment.os:linux",
        "aas.environment.runtime:Node.js",
        "aas.site.kind:app",
        "aas.site.type:app",
        "origin:appservice",
        "_dd.origin:appservice",
    ];
    check(&[("WEBSITE_STACK", "NODE"), ("WEBSITE_OWNER_NAME", "0123")], Kind::AppService, 5, &bare);
    let functions = platform(&[
        ("WEBSITE_STACK", "PYTHON"),
        ("FUNCTIONS_WORKER_RUNTIME", "python"),
        ("FUNCTIONS_EXTENSION_VERSION", "~4"),
    ]);
    assert_eq!(functions.tags.get("aas.site.kind"), Some("functionapp"));
    assert_eq!(functions.tags.get("aas.environment.runtime"), Some("python"));
    assert_eq!(functions.tags.get("aas.environment.function_runtime"), Some("~4"));
}

/// The answers of the documentation's examples, cut to what has a meaning here and to what could mislead.
const ECS_TASK: &str = r#"{"Cluster":"arn:aws:ecs:us-west-2:111122223333:cluster/default","TaskARN":"arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c","Family":"curltest","ServiceName":"MyService","Revision":"26","DesiredStatus":"RUNNING","AvailabilityZone":"us-west-2d","LaunchType":"FARGATE","Limits":{"CPU":0.25},"Containers":[{"DockerId":"598"}]}"#;
const ECS_CONTAINER: &str = r#"{"DockerId":"cd189a933e5849daa93386466019ab50-2495160603","Name":"curl","DockerName":"curl","Image":"111122223333.dkr.ecr.us-west-2.amazonaws.com/curltest:latest","ImageID":"sha256:25f3","Labels":{"a":"b"},"LogOptions":{"awslogs-region":"us-west-2"}}"#;

#[test]
fn a_task_of_ecs() {
    let port = server(|head, _| {
        let path = head.split(' ').nth(1).unwrap();
        Some(ok(match path {
            "/v4/cd18-24" => ECS_CONTAINER,
            "/v4/cd18-24/task" => ECS_TASK,
            other => panic!("{other}"),
        }))
    });
    let address = format!("http://127.0.0.1:{port}/v4/cd18-24");
    let env =
        [("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"), ("ECS_CONTAINER_METADATA_URI_V4", &*address)];
    let mut platform = check(&env, Kind::Ecs, 30, &[]);
    let told = learnt(&platform, Duration::from_secs(20));
    let expect = [
        "task_arn:arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c",
        "task_family:curltest",
        "task_version:26",
        "ecs_cluster_name:default",
        "cluster_name:default",
        "ecs_service:MyService",
        "ecs_launch_type:fargate",
        "region:us-west-2",
        "aws_account:111122223333",
        "availability_zone:us-west-2d",
        "availability-zone:us-west-2d",
        "container_id:cd189a933e5849daa93386466019ab50-2495160603",
        "container_name:curl",
        "ecs_container_name:curl",
        "docker_image:111122223333.dkr.ecr.us-west-2.amazonaws.com/curltest:latest",
        "image_name:111122223333.dkr.ecr.us-west-2.amazonaws.com/curltest",
        "short_image:curltest",
        "image_tag:latest",
    ];
    assert_eq!(told[0].1, sorted(&expect));
    platform.tags.learn(vec![Tag::new("task_family", "curltest"), Tag::new("region", "eu")]);
    assert_eq!(platform.tags.container(), "task_family:curltest,region:eu");
    assert!(platform.tags.spans().is_empty());
    assert_eq!(platform.kind.origin(), None);
    let older = platform_of_older_ecs();
    assert_eq!((older.kind, older.source.is_some()), (Kind::Ecs, true));
}

fn platform_of_older_ecs() -> Platform {
    platform(&[("ECS_CONTAINER_METADATA_URI", "http://169.254.170.2/v3/x")])
}

#[test]
fn a_pod_of_kubernetes() {
    let env = [
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("HOSTNAME", "shop-5d9c-x"),
        ("POD_NAMESPACE", "web"),
    ];
    let platform =
        check(&env, Kind::Kubernetes, 30, &["pod_name:shop-5d9c-x", "kube_namespace:web"]);
    assert_eq!(platform.tags.container(), "pod_name:shop-5d9c-x,kube_namespace:web");
    let told = learnt(&platform, Duration::from_secs(20));
    assert_eq!(told.len(), 1);
    assert!(told[0].1.iter().all(|tag| tag.starts_with("container_id:")), "{told:?}");
}

#[test]
fn nothing_that_is_recognised() {
    let platform = check(
        &[("HOSTNAME", "box"), ("PATH", "/bin")],
        Kind::Local,
        10,
        &["local:true", "instance:box"],
    );
    assert!(platform.tags.spans().is_empty() && platform.tags.container().is_empty());
    check(&[], Kind::Local, 10, &["local:true"]);
    check(&[("K_SERVICE", ""), ("WEBSITE_STACK", "")], Kind::Local, 10, &["local:true"]);
}

#[test]
fn the_first_of_several_platforms_counts() {
    let all = [
        ("K_SERVICE", Kind::CloudRun),
        ("CLOUD_RUN_JOB", Kind::CloudRunJob),
        ("CONTAINER_APP_NAME", Kind::ContainerApps),
        ("WEBSITE_STACK", Kind::AppService),
        ("ECS_CONTAINER_METADATA_URI_V4", Kind::Ecs),
        ("KUBERNETES_SERVICE_HOST", Kind::Kubernetes),
    ];
    for (from, (_, kind)) in all.iter().enumerate() {
        let env: Vec<_> = all[from..].iter().map(|(name, _)| (*name, "x")).collect();
        assert_eq!(platform(&env).kind, *kind);
    }
}

#[test]
fn no_tag_of_google_says_unknown() {
    let failing = |head: &str, _| match head.split(' ').nth(1).unwrap() {
        "/computeMetadata/v1/project/project-id" => {
            Some("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nunknown".to_owned())
        }
        "/computeMetadata/v1/instance/id" => Some(ok(&"x".repeat(5000))),
        _ => Some(google(head)),
    };
    let host = format!("127.0.0.1:{}", server(failing));
    let platform = platform(&[("K_SERVICE", "a"), ("GCE_METADATA_HOST", &host)]);
    let told = learnt(&platform, FIRST_ANSWER_MAX * 2);
    assert_eq!(told[0].1, sorted(&["location:europe-west1", "gcr.location:europe-west1"]));
}

#[test]
fn a_server_that_hangs_or_is_not_there_is_waited_for_within_the_bound_and_no_longer() {
    let silent = format!("127.0.0.1:{}", server(|_, _| None));
    for host in [silent.as_str(), "127.0.0.1:1", "no host at all", "metadata.invalid"] {
        let platform = platform(&[("K_SERVICE", "a"), ("GCE_METADATA_HOST", host)]);
        let told = learnt(&platform, FIRST_ANSWER_MAX + Duration::from_secs(1));
        assert_eq!(told.len(), 1, "{host}: {told:?}");
        let (after, tags) = &told[0];
        assert!(tags.is_empty(), "{host}: {tags:?}");
        assert!(*after < FIRST_ANSWER_MAX + Duration::from_millis(500), "{host}: {after:?}");
    }
}

#[test]
fn a_server_that_comes_late_is_asked_again() {
    // The first two askings are three requests each.
    let late = |head: &str, number| {
        let answer = if number < 6 {
            "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else {
            google(head)
        };
        Some(answer)
    };
    let host = format!("127.0.0.1:{}", server(late));
    let platform = platform(&[("CLOUD_RUN_JOB", "a"), ("GCE_METADATA_HOST", &host)]);
    let told = learnt(&platform, Duration::from_secs(20));
    let counts: Vec<_> = told.iter().map(|(_, tags)| tags.len()).collect();
    assert_eq!(counts, [0, 7]);
}

#[test]
fn every_kind_has_names_for_its_metrics_that_end_in_a_point() {
    for kind in [
        Kind::CloudRun,
        Kind::CloudRunFunction,
        Kind::CloudRunJob,
        Kind::ContainerApps,
        Kind::AppService,
        Kind::Ecs,
        Kind::Kubernetes,
        Kind::Local,
    ] {
        assert!(kind.metric_prefix().ends_with('.') && kind.usage_prefix().ends_with('.'));
    }
    assert!(is_high_cardinality("gcrj.task_index") && !is_high_cardinality("service_name"));
}
