//! Containers that want to keep whoever looks at them busy, in numbers: they decide nothing about time and memory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::depth;
use crate::lab::{Lab, image, with_third};
use crate::needs;
use crate::rows::healthy;

/// The longest that all of them may take, and the most memory, in KiB.
const LONGEST: Duration = Duration::from_secs(5);
const LARGEST: u64 = 300 << 10;

/// Runs a program, and keeps the line of its largest memory so far (proc_pid_status(5)).
const WATCH: &str = r#"
"$@" &
while line=$(busybox grep VmHWM /proc/$!/status 2>/dev/null) && [ -n "$line" ]; do echo "$line" >"$0"; busybox usleep 5000; done
wait $!
"#;

/// What a container does, as a script of its shell.
const KINDS: [(&str, &str); 6] = [
    ("environment", "exec /bin/hostile large"),
    ("mount", "exec /bin/hostile silent /root/.aws"),
    (
        "pools",
        "mkdir -p /usr/local/etc/php-fpm.d; cd /usr/local/etc/php-fpm.d; yes '[a]' | head -n 1000000 >0.conf; \
         for n in $(seq 40); do ln 0.conf $n.conf; done; echo ready; exec sleep 86400",
    ),
    (
        "profiles",
        "mkdir -p /root/.aws; seq 30000 | sed 's/.*/[&]\\naws_access_key_id=1/' >/root/.aws/credentials; echo ready; exec sleep 86400",
    ),
    (
        "libraries",
        "cd /app; head -c 64 /bin/hostile >lib; truncate -s 64M lib; for n in $(seq 1000); do ln lib libaws-cpp-sdk-core.so.$n; done; \
         echo ready; exec sleep 86400",
    ),
    ("names", "mkdir -p /home; cd /home; for n in $(seq 5000); do mkdir $n; done; echo ready; exec sleep 86400"),
];

/// The image has the one program, which is called by the names of what it can do.
const APPLETS: &str = "[ $(/bin/busybox id -u) != 0 ] || /bin/busybox --install -s /bin; ";

pub fn trials() -> Vec<Trial> {
    vec![
        needs::trial("hostile::containers_decide_nothing_about_time_and_memory", &[("cc", "gcc libc6-dev")], || {
            with_third(containers_decide_nothing);
        }),
        needs::trial("hostile::whoever_has_the_number_of_a_process_that_ended_is_not_the_container", &[], || {
            with_third(a_number_is_somebody_else_s);
        }),
    ]
}

/// Between Docker's answer and the look at it a process may end, and its number be another's: here a process of the host itself.
fn a_number_is_somebody_else_s(lab: &mut Lab) {
    lab.reset();
    healthy(lab);
    // Started first, so that its number isn't the longer one.
    let other = lab.sh("AWS_ACCESS_KEY_ID=AKIACANARYCANARY0001 AWS_SECRET_ACCESS_KEY=canary sleep 86400 >/dev/null 2>&1 & echo $!");
    lab.docker.import("hostile", "1", &image(&lab.folder, &[]));
    let mut bridged = config("renumbered", "", "echo ready; exec sleep 86400");
    bridged["HostConfig"]["NetworkMode"] = json!("bridge");
    let (_, pid) = lab.docker.run("renumbered", &bridged);
    let socket = lab.folder.join("renumbered.sock");
    let (from, to) = (format!("\"Pid\":{pid}"), format!("\"Pid\":{:>width$}", other.trim(), width = pid.to_string().len()));
    assert_eq!(from.len(), to.len());
    renumbering(UnixListener::bind(&socket).unwrap(), lab.docker.socket.clone(), from, to);
    let said = lab.ecs_check_by(&socket, &[]);
    lab.docker.remove("renumbered");
    lab.sh(&format!("kill {}", other.trim()));
    let containers = said["containers"].as_array().unwrap();
    let found = containers.iter().find(|container| container["name"] == "renumbered").unwrap_or_else(|| panic!("{said:#}"));
    // Its own process is known by its control group, and is asked as ever; the other's keys are nobody's here.
    assert_eq!(found["verdict"]["identity"], "task-role", "{found:#}");
}

/// Passes requests on to Docker, and puts one text of its answers in the place of another of the same length.
fn renumbering(listener: UnixListener, docker: PathBuf, from: String, to: String) {
    let one = move |mut client: UnixStream| -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? == 1 {
            head.push(byte[0]);
        }
        // One request a connection: the answer ends with it.
        head.truncate(head.len() - 2);
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        let mut server = UnixStream::connect(&docker)?;
        server.write_all(&head)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        while let Some(at) = answer.windows(from.len()).position(|part| part == from.as_bytes()) {
            answer[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        client.write_all(&answer)
    };
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let _ = one(client);
        }
    });
}

fn containers_decide_nothing(lab: &mut Lab) {
    lab.reset();
    healthy(lab);
    let program = lab.folder.join("hostile");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/hostile.c");
    let made = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(source).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    lab.docker.import("hostile", "1", &image(&lab.folder, &[(&fs::read(&program).unwrap(), "bin/hostile", 0o755)]));
    let each = if depth::full() { 8 } else { 1 };
    let names: Vec<(String, &str, &str)> =
        (0..each).flat_map(|number| KINDS.map(|(kind, script)| (format!("hostile-{kind}-{number}"), kind, script))).collect();
    let docker = &lab.docker;
    thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(8)) {
            scope.spawn(move || {
                for (name, kind, script) in part {
                    docker.run(name, &config(name, kind, script));
                }
            });
        }
    });
    // Each says so when it has become what it is to be.
    for (name, ..) in &names {
        let until = Instant::now() + Duration::from_secs(60);
        while !docker.logs(name).contains("ready") {
            assert!(Instant::now() < until, "{name}: {}", docker.logs(name));
            thread::sleep(Duration::from_millis(50));
        }
    }
    let measured = lab.folder.join("measured");
    let mut command = lab.inside("busybox");
    command.args(["sh", "-c", WATCH]).arg(&measured).arg(env!("CARGO_BIN_EXE_xdeploy"));
    command.args(["ecs-check", "--output", "json", "--docker-host", &format!("unix://{}", docker.socket.display())]);
    let started = Instant::now();
    let output = command.output().unwrap();
    let took = started.elapsed();
    let text = fs::read_to_string(&measured).unwrap();
    let kib = text.split_whitespace().find_map(|word| word.parse::<u64>().ok());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    thread::scope(|scope| {
        for (name, ..) in &names {
            scope.spawn(move || docker.remove(name));
        }
    });
    let kib = kib.unwrap_or_else(|| panic!("{text}"));
    println!("{} hostile containers: {took:?}, {} MiB", names.len(), kib >> 10);
    let identity = |wanted: &str| {
        let containers = said["containers"].as_array().unwrap();
        let found = containers.iter().filter(|container| container["name"].as_str().unwrap().contains(wanted));
        let found: Vec<&str> = found.map(|container| container["verdict"]["identity"].as_str().unwrap()).collect();
        assert!(!found.is_empty(), "{wanted}: {said:#}");
        found
    };
    // Nobody else is told anything else for it.
    assert_eq!(identity("ecs-bridge-1-app"), ["task-role"], "{said:#}");
    assert_eq!(identity("ecs-host-1-app"), ["task-role"]);
    for kind in ["environment", "mount"] {
        assert!(identity(&format!("hostile-{kind}-")).iter().all(|identity| *identity == "cannot-tell"), "{kind}: {said:#}");
    }
    assert!(took < LONGEST && kib < LARGEST, "{took:?}, {kib} KiB");
}

fn config(name: &str, kind: &str, script: &str) -> Value {
    let task = format!("arn:aws:ecs:eu-central-1:111122223333:task/lab/{name}");
    let mut config = json!({
        "Image": "hostile:1",
        "Cmd": ["/bin/busybox", "sh", "-c", format!("{APPLETS}{script}")],
        "Env": ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/x"],
        "Labels": {"com.amazonaws.ecs.task-arn": task, "com.amazonaws.ecs.container-name": "app"},
        "HostConfig": {"NetworkMode": "none"},
    });
    match kind {
        "environment" => config["User"] = json!("65534"),
        // It stands for a file server that is gone, which needs no right in the container.
        "mount" => {
            config["HostConfig"]["CapAdd"] = json!(["SYS_ADMIN"]);
            config["HostConfig"]["SecurityOpt"] = json!(["seccomp=unconfined"]);
            let fuse = "/dev/fuse";
            config["HostConfig"]["Devices"] = json!([{"PathOnHost": fuse, "PathInContainer": fuse, "CgroupPermissions": "rwm"}]);
        }
        _ => {}
    }
    config
}
