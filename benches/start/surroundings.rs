//! The start with everything on, where all that a wrapper asks answers at once, and where none of it ever does: the metadata server, DNS, the
//! intake. It needs root, for a name server of its own in a mount namespace of its own.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use super::{Way, compare};

/// What is on. Nothing is waited for at the end.
const EVERYTHING: [&str; 8] = [
    "DD_API_KEY=0123456789abcdef0123456789abcdef",
    "DD_LOGS_ENABLED=true",
    "DD_LOG_LEVEL=off",
    "DD_PILLION_STOP_TIMEOUT=0",
    "K_SERVICE=hello",
    "K_REVISION=hello-1",
    "DD_DOGSTATSD_PORT=28125",
    "DD_SERVICE=hello",
];

/// Compares the two, and prints it.
pub(crate) fn measure(binary: &Path, rounds: u32, app: &CString) {
    let folder = tempfile::tempdir().unwrap();
    if !hang_names(folder.path()) {
        println!(
            "(no right to change the name server here: hanging surroundings are not measured)"
        );
        return;
    }
    let healthy = serve(true);
    let hanging = serve(false);
    // All that is in a name is looked up, and nobody answers.
    let names = format!("http://intake.test:{}", hanging.rsplit(':').next().unwrap());
    let way = |name: &str, metadata: &str, intake: &str| {
        let mut way = Way::new(name, &[&binary.canonicalize().unwrap()]);
        let own = [
            format!("GCE_METADATA_HOST={metadata}"),
            format!("DD_APM_DD_URL={intake}"),
            format!("DD_DD_URL={intake}"),
            format!("DD_LOGS_CONFIG_LOGS_DD_URL={intake}"),
        ];
        let all = EVERYTHING.map(str::to_owned).into_iter().chain(own);
        way.variables = all.map(|entry| CString::new(entry).unwrap()).collect();
        way
    };
    println!("the same with everything on, as a service of Cloud Run");
    let mut ways = [
        way("metadata server, DNS and intake answer", &healthy, &format!("http://{healthy}")),
        way("metadata server, DNS and intake hang", &hanging, &names),
    ];
    compare(&mut ways, rounds, app);
}

/// Has a name server that never answers be the only one, for this process and its children. Whether that could be done.
fn hang_names(folder: &Path) -> bool {
    let Ok(server) = UdpSocket::bind("127.0.0.1:53") else { return false };
    let file = folder.join("resolv.conf");
    fs::write(&file, "nameserver 127.0.0.1\n").unwrap();
    let path = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let (from, to) = (path(&file), path(&fs::canonicalize("/etc/resolv.conf").unwrap()));
    let mount = |from: *const libc::c_char, to: *const libc::c_char, flags| unsafe {
        libc::mount(from, to, std::ptr::null(), flags, std::ptr::null()) == 0
    };
    // It is bound for as long as we run.
    std::mem::forget(server);
    let is_apart = unsafe { libc::unshare(libc::CLONE_NEWNS) == 0 };
    is_apart
        && mount(std::ptr::null(), c"/".as_ptr(), libc::MS_REC | libc::MS_PRIVATE)
        && mount(from.as_ptr(), to.as_ptr(), libc::MS_BIND)
}

/// A server that answers every request with something that a metadata server may say, or takes connections and never says anything. Its address.
fn serve(answers: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for socket in listener.incoming().flatten() {
            if answers {
                std::thread::spawn(move || answer(socket));
            } else {
                // Those whose other end is gone may go, too.
                silent.push(socket);
                silent.drain(..silent.len().saturating_sub(200));
            }
        }
    });
    address
}

fn answer(mut socket: TcpStream) {
    let mut piece = [0; 65536];
    while socket.read(&mut piece).is_ok_and(|bytes| bytes > 0) {
        let text = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n00f4";
        if socket.write_all(text).is_err() {
            return;
        }
    }
}
