//! Prints stack traces the way Rust programs do; the argument says which.

fn load(key: &str) {
    Err::<(), _>(std::io::Error::other(format!("can't load {key}"))).unwrap();
}

fn main() {
    eprintln!("ready");
    match std::env::args().nth(1).as_deref() {
        Some("thread") => {
            let thread = std::thread::Builder::new().name("worker".into());
            let joined = thread.spawn(|| load("a")).unwrap().join();
            assert!(joined.is_err());
        }
        _ => load("b"),
    }
    eprintln!("done");
}
