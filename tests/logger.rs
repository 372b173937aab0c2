//! Stories of the log writer: the real program, with pipes and a socket as PID 1 makes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, send, sendmsg, socketpair,
};
use nix::unistd::{Pid, pipe2, read, write};
use rsm_init::protocol::output::{Attach, News, Order, prefix};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Longer than any of this takes on the slowest machine.
const DEADLINE_MS: u16 = 60_000;

/// Biggest amount handled at a time, so the most that is repeated per stream.
const BATCH: usize = 64 * 1024;

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    fn new() -> Self {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        Self { reader, writer }
    }

    fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = write(&self.writer, bytes).unwrap();
            bytes = &bytes[count..];
        }
    }

    /// What comes until `enough` holds.
    fn read_until(&self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while !enough(&seen) {
            let mut data = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut data, PollTimeout::from(DEADLINE_MS)).unwrap();
            assert_eq!(ready, 1, "waited too long after {:?}", String::from_utf8_lossy(&seen));
            let count = read(&self.reader, &mut buffer).unwrap();
            assert_ne!(count, 0, "ended after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
        seen
    }

    fn expect(&self, text: &str) {
        let seen = self.read_until(|seen| seen.len() >= text.len());
        assert_eq!(String::from_utf8_lossy(&seen), text);
    }
}

/// An instance's two pipes; both ends of both, as PID 1 keeps them.
struct App {
    id: u32,
    out: Pipe,
    err: Pipe,
}

impl App {
    fn new(id: u32) -> Self {
        Self { id, out: Pipe::new(), err: Pipe::new() }
    }

    fn plain(&self) -> Attach {
        Attach {
            id: self.id,
            app: "web".to_owned(),
            instance: self.id,
            prefix: None,
            keep: true,
            out_file: None,
            error_file: None,
            log_file: None,
            date_format: None,
            resumed: false,
        }
    }

    fn prefixed(&self) -> Attach {
        Attach { prefix: Some(prefix("web", self.id)), ..self.plain() }
    }
}

struct Logger {
    child: Child,
    socket: OwnedFd,
}

impl Logger {
    /// With these as the container's stdout and stderr.
    fn start(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        Self::start_by("exec \"$0\" logger 3<&0 </dev/null", stdout, stderr)
    }

    fn start_by(shell: &str, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (socket, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let child = Command::new("sh")
            .args(["-c", shell, env!("CARGO_BIN_EXE_rsm-init")])
            .env("TZ", "UTC")
            .stdin(theirs)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self { child, socket }
    }

    fn piped() -> (Self, Pipe, Pipe) {
        let (out, err) = (Pipe::new(), Pipe::new());
        let ours = |pipe: &Pipe| Stdio::from(pipe.writer.try_clone().unwrap());
        (Self::start(ours(&out), ours(&err)), out, err)
    }

    fn order(&self, order: &Order) {
        let message = serde_json::to_vec(order).unwrap();
        send(self.socket.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL).unwrap();
    }

    fn attach(&self, app: &App, attach: Attach) {
        let message = serde_json::to_vec(&Order::Attach(attach)).unwrap();
        let fds = [app.out.reader.as_raw_fd(), app.err.reader.as_raw_fd()];
        let parts = [IoSlice::new(&message)];
        let control = [ControlMessage::ScmRights(&fds)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.as_raw_fd(), &parts, &control, flags, None).unwrap();
    }

    /// Lets it write all and end, as it should.
    fn finish(mut self) {
        self.order(&Order::Finish);
        let mut message = [0; 1000];
        let mut data = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut data, PollTimeout::from(DEADLINE_MS)), Ok(1), "no answer");
        let length = recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty()).unwrap();
        let news: News = serde_json::from_slice(&message[..length]).unwrap();
        assert_eq!(news, News::Finished);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A directory of the test's own, gone at its end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rsm-init-logger-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> Option<String> {
        Some(self.0.join(name).to_str().unwrap().to_owned())
    }

    fn create(&self, name: &str) -> File {
        File::options().append(true).create(true).open(self.0.join(name)).unwrap()
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.0.join(name)).unwrap()).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Marsaglia's xorshift: random enough, and the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

#[test]
fn without_prefix_and_stamp_bytes_come_as_they_are_and_at_once() {
    let (logger, out, err) = Logger::piped();
    let app = App::new(0);
    logger.attach(&app, app.plain());
    app.out.write(b"name? ");
    out.expect("name? ");
    app.err.write(b"oh");
    err.expect("oh");
    app.out.write(b"\xff\0");
    assert_eq!(out.read_until(|seen| seen.len() >= 2), b"\xff\0");
    logger.finish();
}

#[test]
fn with_a_prefix_an_unfinished_line_waits_for_its_end() {
    let (logger, out, err) = Logger::piped();
    let app = App::new(3);
    logger.attach(&app, app.prefixed());
    app.out.write(b"one\ntw");
    out.expect("web:3 | one\n");
    app.err.write(b"oh\n");
    err.expect("web:3 | oh\n");
    app.out.write(b"o\n\n");
    out.expect("web:3 | two\nweb:3 | \n");
    logger.finish();
}

#[test]
fn the_end_of_a_run_ends_its_last_line() {
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    logger.attach(&app, app.prefixed());
    app.out.write(b"one\nlast words");
    logger.order(&Order::Ended { id: 0 });
    out.expect("web:0 | one\nweb:0 | last words\n");
    app.out.write(b"again\n");
    out.expect("web:0 | again\n");
    logger.finish();
}

#[test]
fn what_was_in_the_pipes_before_is_written_too_and_then_let_go_of() {
    let (logger, out, err) = Logger::piped();
    let app = App::new(7);
    app.out.write(b"early");
    app.err.write(b"bird");
    logger.attach(&app, app.prefixed());
    logger.order(&Order::Detach { id: 7 });
    out.expect("web:7 | early\n");
    err.expect("web:7 | bird\n");
    app.out.write(b"unheard\n");
    let other = App::new(8);
    logger.attach(&other, other.prefixed());
    other.out.write(b"heard\n");
    out.expect("web:8 | heard\n");
    logger.finish();
}

#[test]
fn a_date_stands_before_each_line_in_files_and_after_the_prefix_on_the_container_s_streams() {
    let directory = Directory::new();
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    let date_format = Some("YYYY-MM-DD[T]HH:mm:ss Z".to_owned());
    let out_file = directory.path("new/directories/out.log");
    logger.attach(&app, Attach { date_format, out_file, ..app.prefixed() });
    app.out.write(b"one\ntwo\nthree");
    logger.finish();
    let shown = out.read_until(|seen| seen.iter().filter(|&&byte| byte == b'\n').count() == 3);
    let shown = String::from_utf8(shown).unwrap();
    let file = directory.read("new/directories/out.log");
    for (text, before) in [(shown, "web:0 | "), (file, "")] {
        let lines: Vec<_> = text.lines().map(|line| line.strip_prefix(before).unwrap()).collect();
        let ends: Vec<_> = lines.iter().map(|line| line.split_at(26).1).collect();
        assert_eq!(ends, [": one", ": two", ": three"]);
        for line in lines {
            let shape: String = line[..26]
                .chars()
                .map(|letter| if letter.is_ascii_digit() { '9' } else { letter })
                .collect();
            assert_eq!(shape, "9999-99-99T99:99:99 +99:99");
        }
    }
}

#[test]
fn nothing_is_kept_of_an_app_without_logs() {
    let directory = Directory::new();
    let (logger, out, err) = Logger::piped();
    let app = App::new(0);
    let log_file = directory.path("log");
    logger.attach(&app, Attach { keep: false, log_file, ..app.plain() });
    // Far more than the pipe holds: it is emptied all the same.
    app.out.write(&vec![b'x'; 1 << 20]);
    app.err.write(&vec![b'x'; 1 << 20]);
    logger.finish();
    drop((app, out.writer, err.writer));
    assert_eq!(read(&out.reader, &mut [0; 10]), Ok(0));
    assert_eq!(read(&err.reader, &mut [0; 10]), Ok(0));
    assert!(!directory.0.join("log").exists());
}

/// Numbered lines of random lengths, `COUNT` of them, in pieces of random sizes.
fn chatter(name: &str, count: usize, dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..count {
        let filler = "=".repeat(if dice.below(50) == 0 { 9000 } else { dice.below(200) });
        text.extend_from_slice(format!("<{name} {number} {filler}>\n").as_bytes());
    }
    text
}

#[test]
fn lines_of_many_writers_are_never_split_or_fused() {
    let directory = Directory::new();
    let mut dice = Dice(42);
    let logger = Logger::start(directory.create("stdout"), directory.create("stderr"));
    let apps = [App::new(0), App::new(1)];
    for app in &apps {
        let log_file = directory.path("both");
        let (out_file, error_file) = (directory.path("out"), directory.path("both"));
        logger.attach(app, Attach { out_file, error_file, log_file, ..app.prefixed() });
    }
    let pipes = [&apps[0].out, &apps[0].err, &apps[1].out, &apps[1].err];
    let texts = ["a", "b", "c", "d"].map(|name| chatter(name, 3000, &mut dice));
    let mut rests = texts.each_ref().map(|text| &text[..]);
    while rests.iter().any(|rest| !rest.is_empty()) {
        let turn = dice.below(4);
        let length = if dice.below(20) == 0 { 70_000 } else { 1 + dice.below(300) };
        let (now, later) = rests[turn].split_at(length.min(rests[turn].len()));
        pipes[turn].write(now);
        rests[turn] = later;
    }
    logger.finish();
    let texts = texts.map(|text| String::from_utf8(text).unwrap());
    let of = |all: &str, name: &str, before: &str| -> String {
        let begin = format!("{before}<{name} ");
        let mine = all.lines().filter(|line| line.starts_with(&begin));
        mine.map(|line| format!("{}\n", &line[before.len()..])).collect()
    };
    let (out, both) = (directory.read("out"), directory.read("both"));
    let (stdout, stderr) = (directory.read("stdout"), directory.read("stderr"));
    assert!(of(&out, "a", "") == texts[0]);
    assert!(of(&out, "c", "") == texts[2]);
    assert_eq!(out.len(), texts[0].len() + texts[2].len());
    for (text, name) in texts.iter().zip(["a", "b", "c", "d"]) {
        assert!(of(&both, name, "") == *text, "{name}");
    }
    assert_eq!(both.len(), texts.iter().map(String::len).sum::<usize>());
    assert!(of(&stdout, "a", "web:0 | ") == texts[0]);
    assert!(of(&stdout, "c", "web:1 | ") == texts[2]);
    assert!(of(&stderr, "b", "web:0 | ") == texts[1]);
    assert!(of(&stderr, "d", "web:1 | ") == texts[3]);
    assert_eq!(stdout.lines().count() + stderr.lines().count(), 12_000);
}

/// Two streams talk without end while one log writer after the other is killed.
fn survive_kills(attach: impl Fn(&App, &Directory) -> Attach, before: &str) {
    const KILLS: usize = 12;
    let directory = Directory::new();
    let mut dice = Dice(7);
    let app = App::new(0);
    let texts = ["a", "b"].map(|name| chatter(name, 20_000, &mut dice));
    let start = |resumed| {
        let logger = Logger::start(directory.create("stdout"), directory.create("stderr"));
        logger.attach(&app, Attach { resumed, ..attach(&app, &directory) });
        logger
    };
    let mut logger = start(false);
    let mut rests = texts.each_ref().map(|text| &text[..]);
    for _ in 0..KILLS {
        let goal = rests[0].len() - texts[0].len() / (KILLS + 1);
        while rests[0].len() > goal {
            for (rest, pipe) in rests.iter_mut().zip([&app.out, &app.err]) {
                let (now, later) = rest.split_at((1 + dice.below(150_000)).min(rest.len()));
                pipe.write(now);
                *rest = later;
            }
        }
        logger.kill();
        logger = start(true);
    }
    app.out.write(rests[0]);
    app.err.write(rests[1]);
    logger.finish();

    for (name, text) in ["stdout", "stderr"].into_iter().zip(&texts) {
        let text = std::str::from_utf8(text).unwrap();
        check_survivors(name, text, &directory.read(name), before, KILLS);
    }
    let both = texts.concat();
    let both = std::str::from_utf8(&both).unwrap();
    check_survivors("both", both, &directory.read("both"), "", 2 * KILLS);
    check_survivors(
        "out",
        std::str::from_utf8(&texts[0]).unwrap(),
        &directory.read("out"),
        "",
        KILLS,
    );
}

/// Every line is there, at most one batch for each kill comes twice, and what a kill cut off
/// stands on a line of its own.
fn check_survivors(name: &str, text: &str, seen: &str, before: &str, kills: usize) {
    let wanted: HashSet<&str> = text.lines().collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut fragments = Vec::new();
    for line in seen.lines() {
        match line.strip_prefix(before) {
            Some(line) if wanted.contains(line) => *counts.entry(line).or_default() += 1,
            _ => fragments.push(line),
        }
    }
    let missing = wanted.iter().filter(|line| !counts.contains_key(*line)).count();
    assert_eq!(missing, 0, "{name}: lines are missing");
    let again = |(line, count): (&&str, &usize)| (line.len() + 1) * (count - 1);
    let repeated: usize = counts.iter().map(again).sum();
    assert!(repeated <= kills * BATCH, "{name}: {repeated} bytes repeated");
    fragments.retain(|line| !line.is_empty());
    assert!(fragments.len() <= kills, "{name}: {fragments:?}");
    for fragment in fragments {
        let whole = |line: &&&str| format!("{before}{line}").starts_with(fragment);
        assert!(wanted.iter().any(|line| whole(&line)), "{name}: {fragment:?}");
    }
}

#[test]
fn a_killed_log_writer_loses_no_line_and_repeats_no_more_than_a_batch() {
    let attach = |app: &App, directory: &Directory| Attach {
        out_file: directory.path("out"),
        log_file: directory.path("both"),
        ..app.prefixed()
    };
    survive_kills(attach, "web:0 | ");
}

#[test]
fn a_killed_log_writer_loses_no_byte_of_raw_output_either() {
    let attach = |app: &App, directory: &Directory| Attach {
        out_file: directory.path("out"),
        log_file: directory.path("both"),
        ..app.plain()
    };
    survive_kills(attach, "");
}

#[test]
fn a_file_that_cannot_be_opened_costs_one_message_and_holds_up_nothing() {
    let directory = Directory::new();
    directory.create("plain");
    let (logger, out, err) = Logger::piped();
    let app = App::new(0);
    let out_file = directory.path("plain/out.log");
    logger.attach(&app, Attach { out_file: out_file.clone(), ..app.prefixed() });
    for _ in 0..3 {
        app.out.write(b"hello\n");
        out.expect("web:0 | hello\n");
    }
    logger.finish();
    let path = out_file.unwrap();
    err.expect(&format!(
        "rsm-init: log writer: cannot open \"{path}\": not a directory; what should go there is \
         lost until it works again\nrsm-init: log writer: 3 lines could not be written to \
         \"{path}\"\n"
    ));
}

#[test]
fn a_full_disk_holds_up_nothing() {
    let directory = Directory::new();
    let (stdout, err) = (directory.create("stdout"), Pipe::new());
    let logger = Logger::start(stdout, err.writer.try_clone().unwrap());
    let app = App::new(0);
    let out_file = Some("/dev/full".to_owned());
    let log_file = directory.path("both");
    logger.attach(&app, Attach { out_file, log_file, ..app.plain() });
    let text = chatter("a", 10_000, &mut Dice(3));
    app.out.write(&text);
    logger.finish();
    let text = String::from_utf8(text).unwrap();
    assert!(directory.read("stdout") == text);
    assert!(directory.read("both") == text);
    err.expect(
        "rsm-init: log writer: cannot write \"/dev/full\": no space left on device; what should \
         go there is lost until it works again\nrsm-init: log writer: 10000 lines could not be \
         written to \"/dev/full\"\n",
    );
}

#[test]
fn when_nobody_reads_the_container_s_stdout_the_files_go_on() {
    let directory = Directory::new();
    let (out, err) = (Pipe::new(), Pipe::new());
    let logger = Logger::start(out.writer, err.writer.try_clone().unwrap());
    drop(out.reader);
    let app = App::new(0);
    let out_file = directory.path("out");
    logger.attach(&app, Attach { out_file, ..app.plain() });
    app.out.write(b"one\ntwo\n");
    app.err.write(b"oh\n");
    let text = err.read_until(|seen| seen.ends_with(b"oh\n"));
    assert!(String::from_utf8(text).unwrap().contains("cannot write the container's stdout: "));
    logger.finish();
    assert_eq!(directory.read("out"), "one\ntwo\n");
}

#[test]
fn no_file_takes_the_place_of_a_closed_stdout() {
    let directory = Directory::new();
    let (out, err) = (Pipe::new(), Pipe::new());
    let shell = "exec \"$0\" logger 3<&0 0<&- 1>&-";
    let logger = Logger::start_by(shell, out.writer, err.writer.try_clone().unwrap());
    let app = App::new(0);
    let out_file = directory.path("out");
    logger.attach(&app, Attach { out_file, ..app.prefixed() });
    app.out.write(b"one\ntwo\n");
    logger.finish();
    assert_eq!(directory.read("out"), "one\ntwo\n");
}

#[test]
fn a_stalled_stdout_delays_but_loses_nothing() {
    let (logger, out, _err) = Logger::piped();
    // Set by whoever else has this pipe; the log writer has to live with it.
    fcntl(&out.writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let app = App::new(0);
    logger.attach(&app, app.plain());
    let text = chatter("a", 1300, &mut Dice(5));
    assert!(text.len() > 3 * BATCH);
    let (first, rest) = text.split_at(2 * BATCH);
    app.out.write(first);
    let mut seen = out.read_until(|seen| seen.len() >= BATCH);
    let (now, later) = rest.split_at(BATCH);
    app.out.write(now);
    seen.extend(out.read_until(|more| seen.len() + more.len() == 3 * BATCH));
    for piece in later.chunks(BATCH) {
        app.out.write(piece);
        seen.extend(out.read_until(|more| more.len() == piece.len()));
    }
    assert!(seen == text);
    logger.finish();
}

/// A program that writes 299 997 bytes, whole lines, in one go, asleep in the middle of it since nobody
/// reads the pipe.
fn fill(pipe: &Pipe) -> Child {
    let child = Command::new("sh")
        .args(["-c", "yes 12345678 | dd bs=299997 count=1 iflag=fullblock 2>/dev/null"])
        .stdout(pipe.writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut room = [PollFd::new(pipe.writer.as_fd(), PollFlags::POLLOUT)];
    while poll(&mut room, PollTimeout::ZERO) != Ok(0) {}
    child
}

/// The log writer is held up by its stdout while a writer begins behind what it has in hand.
fn meet_a_big_write(attach: impl Fn(&App) -> Attach, held_up_by: &str, length: usize) {
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    logger.attach(&app, attach(&app));
    app.out.write(b"up\n");
    out.read_until(|seen| seen.ends_with(b"up\n"));
    // One line that the container's stdout has no room for now.
    fcntl(&out.writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    out.write(&[b'.'; 4096]);
    app.out.write(held_up_by.as_bytes());
    let mut writer = fill(&app.out);
    let text = out.read_until(|seen| seen.len() >= length);
    assert!(String::from_utf8(text).unwrap().ends_with("12345678\n"));
    assert!(writer.wait().unwrap().success());
    logger.finish();
}

#[test]
fn a_writer_that_fell_asleep_behind_a_batch_is_woken() {
    meet_a_big_write(App::plain, "one\n", 4096 + 4 + 299_997);
}

#[test]
fn a_writer_that_fell_asleep_behind_a_batch_of_lines_is_woken() {
    let lines = 299_997 / 9;
    meet_a_big_write(App::prefixed, "one\n", 4096 + 12 + lines * 17);
}

#[test]
fn a_writer_that_fell_asleep_behind_half_a_line_is_woken() {
    let lines = 299_997 / 9;
    meet_a_big_write(App::prefixed, "one\nhalf ", 4096 + 12 + 5 + lines * 17);
}

#[test]
fn the_output_of_an_app_without_logs_never_holds_it_up() {
    let (logger, _out, _err) = Logger::piped();
    let app = App::new(0);
    logger.attach(&app, Attach { keep: false, ..app.plain() });
    let writes = "yes 12345678 | dd bs=300000 count=200 iflag=fullblock 2>/dev/null";
    let mut writer = Command::new("sh");
    writer.args(["-c", writes]).stdout(app.out.writer.try_clone().unwrap());
    assert!(writer.status().unwrap().success());
    logger.finish();
}

#[test]
fn all_is_written_before_the_end() {
    let directory = Directory::new();
    let app = App::new(0);
    for pipe in [&app.out, &app.err] {
        fcntl(&pipe.writer, FcntlArg::F_SETPIPE_SZ(1 << 20)).unwrap();
        pipe.write(&vec![b'x'; 1 << 20]);
    }
    let logger = Logger::start(directory.create("stdout"), directory.create("stderr"));
    logger.attach(&app, app.plain());
    logger.finish();
    assert_eq!(directory.read("stdout").len(), 1 << 20);
    assert_eq!(directory.read("stderr").len(), 1 << 20);
}

#[test]
fn when_the_supervisor_is_gone_it_writes_what_is_left_and_ends() {
    let directory = Directory::new();
    let mut logger = Logger::start(directory.create("stdout"), directory.create("stderr"));
    let app = App::new(0);
    logger.attach(&app, app.prefixed());
    app.out.write(b"orphaned");
    drop(logger.socket);
    assert_eq!(logger.child.wait().unwrap().code(), Some(0));
    assert_eq!(directory.read("stdout"), "web:0 | orphaned\n");
}

#[test]
fn a_long_line_stays_one_line() {
    let directory = Directory::new();
    let logger = Logger::start(directory.create("stdout"), directory.create("stderr"));
    let app = App::new(0);
    logger.attach(&app, app.prefixed());
    let line = "x".repeat(200 * 1024);
    app.out.write(format!("{line}\n").as_bytes());
    logger.finish();
    assert!(directory.read("stdout") == format!("web:0 | {line}\n"));
}

#[test]
fn a_line_longer_than_any_pipe_is_cut_where_everyone_can_see_it() {
    let directory = Directory::new();
    let logger = Logger::start(directory.create("stdout"), directory.create("stderr"));
    let app = App::new(0);
    let out_file = directory.path("out");
    logger.attach(&app, Attach { out_file, ..app.prefixed() });
    let line = "x".repeat(3 << 20);
    app.out.write(format!("{line}\n").as_bytes());
    logger.finish();
    let shown = directory.read("stdout").replace(" [rsm-init: line continues]\nweb:0 | ", "");
    assert!(shown == format!("web:0 | {line}\n"));
    // A file that nobody else writes to needs no lines.
    assert!(directory.read("out") == format!("{line}\n"));
}

#[test]
fn files_are_opened_again_on_order() {
    let directory = Directory::new();
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    let out_file = directory.path("out");
    logger.attach(&app, Attach { out_file, ..app.plain() });
    app.out.write(b"old\n");
    out.expect("old\n");
    // Another stream's answer shows that the file was written too.
    app.err.write(b"!\n");
    _err.expect("!\n");
    fs::rename(directory.0.join("out"), directory.0.join("out.1")).unwrap();
    logger.order(&Order::Reopen);
    app.out.write(b"new\n");
    logger.finish();
    assert_eq!((&*directory.read("out.1"), &*directory.read("out")), ("old\n", "new\n"));
}

#[test]
fn an_unfinished_line_of_an_earlier_life_is_not_continued() {
    let directory = Directory::new();
    fs::write(directory.0.join("out"), "half a li").unwrap();
    let logger = Logger::start(Stdio::null(), Stdio::null());
    let app = App::new(0);
    let out_file = directory.path("out");
    logger.attach(&app, Attach { out_file, ..app.plain() });
    app.out.write(b"new\n");
    logger.finish();
    assert_eq!(directory.read("out"), "half a li\nnew\n");
}

#[test]
fn a_file_that_means_the_container_s_stream_shows_nothing_twice() {
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    let (out_file, error_file) = (Some("/dev/stdout".to_owned()), Some("/dev/stdout".to_owned()));
    logger.attach(&app, Attach { out_file, error_file, ..app.plain() });
    app.out.write(b"one\n");
    out.expect("one\n");
    app.err.write(b"two\n");
    out.expect("two\n");
    logger.finish();
}

#[test]
fn signals_to_everybody_are_not_for_the_log_writer() {
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    logger.attach(&app, app.plain());
    app.out.write(b"up\n");
    out.expect("up\n");
    let pid = Pid::from_raw(i32::try_from(logger.child.id()).unwrap());
    for signal in Signal::iterator() {
        if ![Signal::SIGKILL, Signal::SIGSTOP].contains(&signal) {
            kill(pid, signal).unwrap();
        }
    }
    app.out.write(b"still up\n");
    out.expect("still up\n");
    logger.finish();
}

#[test]
fn idle_means_idle() {
    let (logger, out, _err) = Logger::piped();
    let app = App::new(0);
    logger.attach(&app, app.prefixed());
    // The unfinished line stays in the pipe, and is no reason to look at it again.
    app.out.write(b"one\nunfinished");
    out.expect("web:0 | one\n");
    let status = Path::new("/proc").join(logger.child.id().to_string()).join("status");
    let switches = || {
        let status = fs::read_to_string(&status).unwrap();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        counts.map(str::to_owned).collect::<Vec<_>>()
    };
    // A second without news, after as many seconds as it takes to come to rest.
    let mut before = switches();
    let calm = (0..10).any(|_| {
        let mut data = [PollFd::new(out.reader.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut data, PollTimeout::from(1000_u16)), Ok(0));
        let after = switches();
        std::mem::replace(&mut before, after.clone()) == after
    });
    assert!(calm);
    logger.finish();
}

#[test]
fn a_bad_order_is_reported_and_survived() {
    let (logger, out, err) = Logger::piped();
    send(logger.socket.as_raw_fd(), b"{\"do\":\"dance\"}", MsgFlags::MSG_NOSIGNAL).unwrap();
    let text = err.read_until(|seen| seen.ends_with(b"\n"));
    assert!(String::from_utf8(text).unwrap().contains("cannot understand an order"));
    let message = serde_json::to_vec(&Order::Attach(App::new(0).plain())).unwrap();
    send(logger.socket.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL).unwrap();
    let text = err.read_until(|seen| seen.ends_with(b"\n"));
    assert!(String::from_utf8(text).unwrap().contains("web:0: cannot read its output"));
    let app = App::new(0);
    logger.attach(&app, app.plain());
    app.out.write(b"fine\n");
    out.expect("fine\n");
    logger.finish();
}
