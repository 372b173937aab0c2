//! The puppet: a child that says on its stdout what it received and does what its words
//! say, so that tests wait for facts instead of sleeping.
//!
//! It is compiled by the tests themselves with plain `rustc`, static, so that it runs in
//! an empty container; without std's start-up, so that it shows signal dispositions and
//! descriptors as it got them; and it asks the kernel with raw 64-bit masks, because libc
//! hides some signals. Each line it says is one `write`.
//!
//! `puppet WORD…`, from left to right; the end of the words is `exit 0`.
//!
//! | words | does |
//! |---|---|
//! | `report` | one line: pid, ppid, pgid, sid, uid, gid, blocked, ignored, fds, tpgid, umask, cwd |
//! | `env NAME` · `args` | shows a variable · the argument vector |
//! | `say TEXT` · `err TEXT` · `lines N` · `write N` | output |
//! | `obey SIG=exit:N,SIG=say:TEXT,…` | reports every signal it gets; acts on those named; `15=exit:0` unless named |
//! | `fifo PATH` | a place for `obey` to read more words from, one line each |
//! | `deaf` · `ignore N,N` · `hang` | blocks all signals, for ever · ignores some · waits for ever, as it is |
//! | `exit N` · `die SIG` | ends |
//! | `spawn WORDS… ;` · `daemon WORDS… ;` | a child · a double-forked one in its own session |
//! | `orphans N BURST` | N orphans that end at once, BURST at a time |
//! | `fill` · `free` | children until fork fails · kills and reaps them |
//! | `eat MIB` | touches that much memory |
//! | `uid N` · `setsid` · `reap` · `killall` | setgid and setuid · … · waits for its children · kill(-1, KILL) |
//! | `flood N SIG PID` · `queue N SIG PID` | kill · sigqueue with the values 0, 1, … |
//! | `touch FILE` · `crash N FILE CODE` | appends one byte · likewise, and exits with CODE the first N times |
//! | `chase` | forks and ends, for ever: a moving target |
//! | `nap MS` | sleeps: for programs that have to live a while |
#![no_main]
#![allow(clippy::all)]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};

unsafe extern "C" {
    fn syscall(n: c_long, ...) -> c_long;
    fn fork() -> c_int;
    fn _exit(code: c_int) -> !;
    fn waitpid(pid: c_int, status: *mut c_int, flags: c_int) -> c_int;
    fn setsid() -> c_int;
    fn getpid() -> c_int;
    fn getppid() -> c_int;
    fn getpgid(pid: c_int) -> c_int;
    fn getsid(pid: c_int) -> c_int;
    fn getuid() -> u32;
    fn getgid() -> u32;
    fn setuid(id: u32) -> c_int;
    fn setgid(id: u32) -> c_int;
    fn tcgetpgrp(fd: c_int) -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn write(fd: c_int, data: *const c_void, len: usize) -> isize;
    fn read(fd: c_int, data: *mut c_void, len: usize) -> isize;
    fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn umask(mask: u32) -> u32;
    fn poll(fds: *mut PollFd, count: u64, timeout: c_int) -> c_int;
}

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: i16,
    revents: i16,
}

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const RT_SIGACTION: i64 = 13;
    pub const RT_SIGPROCMASK: i64 = 14;
    pub const RT_SIGQUEUEINFO: i64 = 129;
    pub const SIGNALFD4: i64 = 289;
}
#[cfg(target_arch = "aarch64")]
mod nr {
    pub const RT_SIGACTION: i64 = 134;
    pub const RT_SIGPROCMASK: i64 = 135;
    pub const RT_SIGQUEUEINFO: i64 = 138;
    pub const SIGNALFD4: i64 = 74;
}

fn emit(fd: c_int, text: &str) {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let n = unsafe { write(fd, rest.as_ptr().cast(), rest.len()) };
        if n <= 0 {
            return;
        }
        rest = &rest[n as usize..];
    }
}

fn say(text: &str) {
    emit(1, text);
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn block(mask: u64) {
    unsafe { syscall(nr::RT_SIGPROCMASK, 2, &mask as *const u64, 0usize, 8usize) };
}

fn blocked() -> u64 {
    let mut mask = 0u64;
    unsafe { syscall(nr::RT_SIGPROCMASK, 0, 0usize, &mut mask as *mut u64, 8usize) };
    mask
}

fn disposition(signal: i64) -> u64 {
    let mut action = [0u64; 4];
    unsafe { syscall(nr::RT_SIGACTION, signal, 0usize, action.as_mut_ptr(), 8usize) };
    action[0]
}

fn set_disposition(signal: i64, handler: u64) {
    let action = [handler, 0, 0, 0];
    unsafe { syscall(nr::RT_SIGACTION, signal, action.as_ptr(), 0usize, 8usize) };
}

fn report() {
    let ignored = (1..=64).filter(|s| disposition(*s) == 1).fold(0u64, |m, s| m | 1 << (s - 1));
    let fds: Vec<String> = (0..1024)
        .filter(|fd| unsafe { fcntl(*fd, 1) } >= 0)
        .map(|fd: c_int| fd.to_string())
        .collect();
    let mask = unsafe { umask(0) };
    unsafe { umask(mask) };
    let cwd = std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default();
    say(&format!(
        "report pid={} ppid={} pgid={} sid={} uid={} gid={} blocked={:x} ignored={:x} fds={} tpgid={} umask={:o} cwd={}",
        unsafe { getpid() },
        unsafe { getppid() },
        unsafe { getpgid(0) },
        unsafe { getsid(0) },
        unsafe { getuid() },
        unsafe { getgid() },
        blocked(),
        ignored,
        fds.join(","),
        unsafe { tcgetpgrp(0) },
        mask,
        cwd
    ));
}

fn number(word: Option<String>) -> i64 {
    word.and_then(|w| w.parse().ok()).unwrap_or_else(|| die("a number is missing"))
}

fn text(word: Option<String>) -> String {
    word.unwrap_or_else(|| die("a word is missing"))
}

fn die(what: &str) -> ! {
    emit(2, &format!("puppet: {what}"));
    unsafe { _exit(99) }
}

fn act(what: &str) {
    match what.split_once(':').unwrap_or((what, "")) {
        ("exit", code) => unsafe { _exit(code.parse().unwrap_or(0)) },
        ("say", line) => say(line),
        ("report", _) => report(),
        ("die", signal) => end_by(signal.parse().unwrap_or(9)),
        _ => {}
    }
}

fn end_by(signal: i64) {
    set_disposition(signal, 0);
    block(0);
    unsafe { kill(getpid(), signal as c_int) };
}

fn obey(rules: &str, fifo: c_int, kids: &mut Vec<c_int>) {
    let mut rules: Vec<(u32, &str)> = rules
        .split(',')
        .filter_map(|r| r.split_once('='))
        .map(|(s, what)| (s.parse().unwrap_or(0), what))
        .collect();
    if !rules.iter().any(|(s, _)| *s == 15) {
        rules.push((15, "exit:0"));
    }
    let all = !0u64;
    let fd =
        unsafe { syscall(nr::SIGNALFD4, -1i64, &all as *const u64, 8usize, 0o2000000i64) } as c_int;
    say("ready");
    let mut pending = String::new();
    loop {
        let mut fds =
            [PollFd { fd, events: 1, revents: 0 }, PollFd { fd: fifo, events: 1, revents: 0 }];
        unsafe { poll(fds.as_mut_ptr(), 2, -1) };
        if fds[0].revents & 1 != 0 {
            let mut info = [0u8; 128];
            if unsafe { read(fd, info.as_mut_ptr().cast(), 128) } == 128 {
                let at =
                    |i: usize| u32::from_ne_bytes([info[i], info[i + 1], info[i + 2], info[i + 3]]);
                say(&format!(
                    "got {} code={} pid={} value={}",
                    at(0),
                    at(8) as i32,
                    at(12),
                    at(44) as i32
                ));
                for (signal, what) in &rules {
                    if *signal == at(0) {
                        act(what);
                    }
                }
            }
        }
        if fds[1].revents & 1 != 0 {
            let mut data = [0u8; 4096];
            let n = unsafe { read(fifo, data.as_mut_ptr().cast(), data.len()) };
            pending.push_str(&String::from_utf8_lossy(&data[..n.max(0) as usize]));
            while let Some(end) = pending.find('\n') {
                let line: String = pending.drain(..=end).collect();
                let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                run(words, kids, fifo);
            }
        }
    }
}

fn hang() -> ! {
    loop {
        unsafe { poll(std::ptr::null_mut(), 0, -1) };
    }
}

fn orphans(total: i64, burst: i64) {
    let (mut made, mut failed) = (0, 0);
    while made < total {
        let middle = unsafe { fork() };
        if middle < 0 {
            failed += 1;
            nap(1);
            continue;
        }
        if middle == 0 {
            let mut code = 0;
            for _ in 0..burst {
                match unsafe { fork() } {
                    0 => unsafe { _exit(0) },
                    -1 => code = 1,
                    _ => {}
                }
            }
            unsafe { _exit(code) }
        }
        let mut status = 0;
        unsafe { waitpid(middle, &mut status, 0) };
        made += burst;
    }
    say(&format!("orphans made={made} retried={failed}"));
}

fn nap(ms: c_int) {
    unsafe { poll(std::ptr::null_mut(), 0, ms) };
}

fn append(path: &str) -> u64 {
    let name = CString::new(path).unwrap_or_default();
    let fd = unsafe { open(name.as_ptr(), 0o2 | 0o100 | 0o2000, 0o666) };
    unsafe {
        write(fd, b".".as_ptr().cast(), 1);
        close(fd);
    }
    std::fs::metadata(path).map(|m| m.len()).unwrap_or(0)
}

fn block_of_words(words: &mut impl Iterator<Item = String>) -> Vec<String> {
    let (mut inner, mut depth) = (Vec::new(), 1);
    for word in words.by_ref() {
        match word.as_str() {
            "spawn" | "daemon" => depth += 1,
            ";" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        inner.push(word);
    }
    inner
}

fn run(words: Vec<String>, kids: &mut Vec<c_int>, mut fifo: c_int) {
    let all = words.clone();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "report" => report(),
            "args" => say(&format!("args {all:?}")),
            "env" => {
                let name = text(words.next());
                match std::env::var(&name) {
                    Ok(value) => say(&format!("env {name}={value}")),
                    Err(_) => say(&format!("env {name} unset")),
                }
            }
            "say" => say(&text(words.next())),
            "err" => emit(2, &text(words.next())),
            "lines" => {
                for i in 0..number(words.next()) {
                    say(&format!("line {i:09}"));
                }
            }
            "write" => say(&"x".repeat(number(words.next()) as usize)),
            "obey" => {
                let rules = text(words.next());
                // Block first: nothing that comes from here on is lost.
                block(!0);
                obey(&rules, fifo, kids);
            }
            "fifo" => {
                let path = CString::new(text(words.next())).unwrap_or_default();
                fifo = unsafe { open(path.as_ptr(), 0o2 | 0o4000 | 0o2000000, 0) };
                if fifo < 0 {
                    die("cannot open the fifo");
                }
            }
            "deaf" => {
                block(!0);
                say("deaf");
                hang();
            }
            "hang" => {
                say("hangs");
                hang();
            }
            "ignore" => {
                for signal in text(words.next()).split(',') {
                    set_disposition(signal.parse().unwrap_or(0), 1);
                }
            }
            "exit" => unsafe { _exit(number(words.next()) as c_int) },
            "die" => {
                end_by(number(words.next()));
                hang();
            }
            "spawn" | "daemon" => {
                let inner = block_of_words(&mut words);
                let child = unsafe { fork() };
                if child < 0 {
                    say(&format!("fork failed errno={}", errno()));
                } else if child == 0 {
                    if word == "daemon" {
                        unsafe { setsid() };
                        if unsafe { fork() } != 0 {
                            unsafe { _exit(0) };
                        }
                    }
                    run(inner, &mut Vec::new(), -1);
                    unsafe { _exit(0) };
                } else if word == "daemon" {
                    unsafe { waitpid(child, std::ptr::null_mut(), 0) };
                }
            }
            "orphans" => {
                let total = number(words.next());
                orphans(total, number(words.next()));
            }
            "fill" => {
                loop {
                    let child = unsafe { fork() };
                    if child < 0 {
                        break;
                    }
                    if child == 0 {
                        hang();
                    }
                    kids.push(child);
                }
                say(&format!("full children={} errno={}", kids.len(), errno()));
            }
            "free" => {
                for kid in kids.drain(..) {
                    unsafe {
                        kill(kid, 9);
                        waitpid(kid, std::ptr::null_mut(), 0);
                    }
                }
                say("freed");
            }
            "eat" => {
                let mut food: Vec<Vec<u8>> = Vec::new();
                for _ in 0..number(words.next()) {
                    food.push(vec![1; 1 << 20]);
                }
                say(&format!("ate {}", food.iter().map(|f| f[4096] as usize).sum::<usize>()));
            }
            "uid" => {
                let id = number(words.next()) as u32;
                let (a, b) = unsafe { (setgid(id), setuid(id)) };
                if a | b != 0 {
                    die("cannot change identity");
                }
            }
            "setsid" => {
                unsafe { setsid() };
            }
            "reap" => while unsafe { waitpid(-1, std::ptr::null_mut(), 0) } > 0 {},
            "killall" => {
                unsafe { kill(-1, 9) };
                say("killed all");
            }
            "flood" | "queue" => {
                let (count, signal) = (number(words.next()), number(words.next()));
                let pid = number(words.next());
                for i in 0..count {
                    if word == "flood" {
                        unsafe { kill(pid as c_int, signal as c_int) };
                        continue;
                    }
                    // si_signo, si_errno, si_code (SI_QUEUE), padding, pid, uid, value.
                    let mut info = [0i32; 32];
                    (info[0], info[2], info[4], info[6]) =
                        (signal as i32, -1, unsafe { getpid() }, i as i32);
                    unsafe { syscall(nr::RT_SIGQUEUEINFO, pid, signal, info.as_ptr()) };
                }
                say(&format!("sent {count}"));
            }
            "touch" => {
                append(&text(words.next()));
            }
            "crash" => {
                let times = number(words.next()) as u64;
                let count = append(&text(words.next()));
                let code = number(words.next());
                if count <= times {
                    unsafe { _exit(code as c_int) };
                }
            }
            "chase" => {
                // One process that is somewhere else whenever somebody looks.
                block(!0);
                loop {
                    if unsafe { fork() } != 0 {
                        unsafe { _exit(0) };
                    }
                }
            }
            "nap" => nap(number(words.next()) as c_int),
            other => die(&format!("unknown word {other}")),
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let words = (1..argc as usize)
        .map(|i| unsafe { CStr::from_ptr(*argv.add(i)) }.to_string_lossy().into_owned())
        .collect();
    run(words, &mut Vec::new(), -1);
    0
}
