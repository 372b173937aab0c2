//! From nothing to a running program, without ever waiting for it.
//!
//! The child is made with `clone(CLONE_VM)`: it borrows our memory on a stack of its own
//! until it executes its program, so its cost does not depend on our size, and since we
//! do not ask for `CLONE_VFORK`, a program on a dead file server holds up nobody. What it
//! reads stays in place, untouched, until its status pipe says that it is gone from here:
//! end of file once the program runs (the pipe closes on exec), a [`Report`] if a step
//! failed.
//!
//! Between clone and exec the child makes bare system calls only: no allocation, no
//! `errno`, no panic, nothing that could touch what is ours.
#![allow(unsafe_code, reason = "between clone and exec there is no safe API")]

use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::unistd::pipe2;

use super::poller::Poller;
use super::raw;
use crate::supervisor::{SpawnFailure, Stage};

/// Bytes of stack; the child needs a few hundred.
const STACK: usize = 16 * 1024;

/// The variable of sd_listen_fds(3) that names its reader.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// What a child is to become.
#[derive(Default)]
pub(super) struct Plan {
    /// Paths to try in turn; unused with `exec_fd`.
    pub(super) candidates: Vec<CString>,
    /// The program as an open file; for our own executable, wherever it has gone.
    pub(super) exec_fd: Option<RawFd>,
    pub(super) argv: Vec<CString>,
    /// Variables of its own.
    pub(super) env: Vec<CString>,
    /// Variables handed through from the environment that we were given. They live as
    /// long as the process.
    pub(super) inherited_env: Vec<&'static CStr>,
    /// Have `LISTEN_PID` name the child.
    pub(super) rewrite_listen_pid: bool,
    pub(super) cwd: Option<CString>,
    /// What becomes its descriptors 0, 1 and 2; `None`: ours.
    pub(super) stdio: [Option<RawFd>; 3],
    /// One more descriptor, handed on as number 3.
    pub(super) fd3: Option<RawFd>,
    pub(super) place: Place,
    pub(super) identity: Option<(u32, u32, Box<[u32]>)>,
    /// The mask of blocked signals it starts with.
    pub(super) mask: u64,
    /// Signals that get their default action; the others keep what we were given.
    pub(super) defaults: u64,
    /// The limit of open files, soft and hard, that it gets back.
    pub(super) nofile: Option<(u64, u64)>,
}

/// Where among sessions and process groups a child lives.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// A session of its own.
    #[default]
    Session,
    /// A group of its own in our session, in the foreground of this terminal if any.
    Group {
        /// A descriptor of the terminal.
        terminal: Option<RawFd>,
    },
}

/// All that the child reads. Plain pointers into [`InFlight`]'s own allocations.
struct Orders {
    candidates: *const *const u8,
    exec_fd: i32,
    argv: *const *const u8,
    /// `sh`, then a place for the script, then the arguments.
    shell_argv: *mut *const u8,
    envp: *const *const u8,
    listen_pid: *mut u8,
    cwd: *const u8,
    stdio: [i32; 3],
    fd3: i32,
    own_session: bool,
    terminal: i32,
    identity: *const (u32, u32, Box<[u32]>),
    groups: *const u32,
    group_count: usize,
    mask: u64,
    defaults: u64,
    nofile: *const libc::rlimit64,
    status: i32,
}

/// A child between clone and exec, and the memory that it still uses.
pub(super) struct InFlight {
    status: OwnedFd,
    // Everything below is only kept alive.
    _orders: Box<Orders>,
    _stack: Box<[u128]>,
    _plan: Box<Plan>,
    _pointers: [Vec<*const u8>; 4],
    _nofile: Option<Box<libc::rlimit64>>,
    _listen_pid: Option<Box<[u8]>>,
    _shared: Shared,
}

/// While one of these lives a child shares our memory, and nothing may dump it: before
/// Linux 5.16 a core dump killed everyone who shared the memory.
struct Shared;

/// How many there are, and whether our memory could be dumped before the first.
static SHARED: AtomicUsize = AtomicUsize::new(0);
static DUMPABLE: AtomicBool = AtomicBool::new(false);

impl Shared {
    fn begin() -> Self {
        if SHARED.fetch_add(1, Ordering::Relaxed) == 0 {
            DUMPABLE.store(prctl::get_dumpable().unwrap_or(false), Ordering::Relaxed);
            let _ = prctl::set_dumpable(false);
        }
        Self
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if SHARED.fetch_sub(1, Ordering::Relaxed) == 1 && DUMPABLE.load(Ordering::Relaxed) {
            let _ = prctl::set_dumpable(true);
        }
    }
}

/// What the status pipe carries: a stage and an errno.
type Report = [u8; 8];

/// How a child's start came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its program runs, or it was killed before that.
    Gone,
    /// A step failed.
    Failed(SpawnFailure),
}

impl AsFd for InFlight {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }
}

impl InFlight {
    /// How it came out. Call when the pipe is readable or the child is dead.
    pub(super) fn outcome(self, poller: &Poller) -> Outcome {
        // By hand: a copy of the descriptor in a child that is on its way would keep it
        // on the list after it is closed here.
        poller.forget(&self);
        let mut report = Report::default();
        let read = std::fs::File::from(self.status).read(&mut report);
        match (read, i32::from_ne_bytes([report[0], report[1], report[2], report[3]])) {
            (Ok(8), stage) => Outcome::Failed(SpawnFailure {
                stage: stage_of(stage),
                errno: i32::from_ne_bytes([report[4], report[5], report[6], report[7]]),
            }),
            _ => Outcome::Gone,
        }
    }
}

const STAGES: [Stage; 10] = [
    Stage::Pipe,
    Stage::Fork,
    Stage::Setsid,
    Stage::Dup,
    Stage::Chdir,
    Stage::Setgroups,
    Stage::Setgid,
    Stage::Setuid,
    Stage::Execve,
    Stage::Killed,
];

fn stage_of(code: i32) -> Stage {
    usize::try_from(code).ok().and_then(|code| STAGES.get(code)).copied().unwrap_or(Stage::Execve)
}

/// Starts a child on its way. Its pid is good until it is waited for.
pub(super) fn spawn(plan: Plan) -> Result<(i32, InFlight), SpawnFailure> {
    let failed = |stage| move |errno: Errno| SpawnFailure { stage, errno: errno as i32 };
    let (status, report_to) = pipe2(OFlag::O_CLOEXEC).map_err(failed(Stage::Pipe))?;
    if plan.fd3.is_some() && [report_to.as_raw_fd(), plan.exec_fd.unwrap_or(-1)].contains(&3) {
        // The child would overwrite it. Number 3 is our signalfd, so this is no init.
        return Err(failed(Stage::Dup)(Errno::EBADF));
    }
    let plan = Box::new(plan);
    let shell = c"sh";

    let mut listen_pid = None;
    let mut envp: Vec<*const u8> =
        Vec::with_capacity(plan.env.len() + plan.inherited_env.len() + 2);
    envp.extend(plan.inherited_env.iter().map(|entry| entry.as_ptr().cast::<u8>()));
    envp.extend(plan.env.iter().map(|entry| entry.as_ptr().cast::<u8>()));
    if plan.rewrite_listen_pid {
        let buffer: &mut Box<[u8]> = listen_pid.insert([LISTEN_PID, &[0; 11]].concat().into());
        envp.push(buffer.as_ptr());
    }
    envp.push(ptr::null());
    let candidates: Vec<*const u8> = terminated(plan.candidates.iter().map(|path| path.as_ptr()));
    let argv = terminated(plan.argv.iter().map(|word| word.as_ptr()));
    let script = [shell.as_ptr(), ptr::null()];
    let mut shell_argv =
        terminated(script.into_iter().chain(plan.argv.iter().skip(1).map(|word| word.as_ptr())));

    let nofile =
        plan.nofile.map(|(soft, hard)| Box::new(libc::rlimit64 { rlim_cur: soft, rlim_max: hard }));
    let terminal = match plan.place {
        Place::Session | Place::Group { terminal: None } => -1,
        Place::Group { terminal: Some(fd) } => fd,
    };
    let groups: &[u32] = plan.identity.as_ref().map_or(&[], |(_, _, groups)| groups);
    let orders = Box::new(Orders {
        candidates: candidates.as_ptr(),
        exec_fd: plan.exec_fd.unwrap_or(-1),
        argv: argv.as_ptr(),
        shell_argv: shell_argv.as_mut_ptr(),
        envp: envp.as_ptr(),
        listen_pid: listen_pid.as_mut().map_or(ptr::null_mut(), |buffer| buffer.as_mut_ptr()),
        cwd: plan.cwd.as_ref().map_or(ptr::null(), |path| path.as_ptr().cast()),
        stdio: plan.stdio.map(|fd| fd.unwrap_or(-1)),
        fd3: plan.fd3.unwrap_or(-1),
        own_session: plan.place == Place::Session,
        terminal,
        identity: plan.identity.as_ref().map_or(ptr::null(), ptr::from_ref),
        groups: groups.as_ptr(),
        group_count: groups.len(),
        mask: plan.mask,
        defaults: plan.defaults,
        nofile: nofile.as_deref().map_or(ptr::null(), ptr::from_ref),
        status: report_to.as_raw_fd(),
    });
    // Zeroed memory comes as untouched pages: only what the child uses is ever made.
    let mut stack: Box<[u128]> = vec![0_u128; STACK / size_of::<u128>()].into_boxed_slice();
    // SAFETY: one past the end of the allocation, 16-byte aligned, as a descending stack wants it.
    let top = unsafe { stack.as_mut_ptr().add(stack.len()) };
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    let shared = Shared::begin();
    // SAFETY: `child` never returns and makes bare system calls only. It runs on `stack`,
    // which nobody else uses, and reads `orders` and what hangs on it; all of that goes
    // into `InFlight` below, which lives until the child has left our memory. All signals
    // are blocked here and so in the child: no handler can run on that stack.
    let pid =
        unsafe { libc::clone(child, top.cast(), flags, ptr::from_ref(&*orders).cast_mut().cast()) };
    if pid < 0 {
        return Err(failed(Stage::Fork)(Errno::last()));
    }
    // From here on the only writer is the child: end of file means that it is gone.
    drop(report_to);
    if let Place::Group { .. } = plan.place {
        // Whoever comes first: a signal for the group must find it. The child's own call
        // may have succeeded and its exec begun (EACCES); both are fine.
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::unistd::setpgid(pid, pid);
    }
    Ok((
        pid,
        InFlight {
            status,
            _orders: orders,
            _stack: stack,
            _plan: plan,
            _pointers: [envp, candidates, argv, shell_argv],
            _nofile: nofile,
            _listen_pid: listen_pid,
            _shared: shared,
        },
    ))
}

fn terminated(words: impl Iterator<Item = *const libc::c_char>) -> Vec<*const u8> {
    words.map(|word| word.cast()).chain([ptr::null()]).collect()
}

/// Bare system call in the child.
macro_rules! sys {
    ($number:ident $(, $arg:expr)*) => {{
        let mut args = [0_usize; 6];
        let mut _next = args.iter_mut();
        $( if let Some(slot) = _next.next() { *slot = $arg as usize; } )*
        // SAFETY: see `child`; every pointer below comes from `Orders` and is valid.
        unsafe { raw::call(libc::$number, args) }
    }};
}

/// Runs in the child, on its own stack, in our memory. Never returns.
extern "C" fn child(orders: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes a valid `Orders` that outlives our stay in this memory.
    let orders = unsafe { &*orders.cast::<Orders>() };
    let (stage, errno) = become_it(orders);
    let mut report = [0_i32; 2];
    for (code, known) in STAGES.iter().enumerate() {
        if *known == stage {
            report[0] = code as i32;
        }
    }
    report[1] = errno;
    // Less than PIPE_BUF, so it is written whole (pipe(7)).
    sys!(SYS_write, orders.status, report.as_ptr(), size_of::<Report>());
    loop {
        sys!(SYS_exit_group, 127);
    }
}

/// Everything between clone and exec; comes back only with what failed.
#[inline(always)]
fn become_it(orders: &Orders) -> (Stage, i32) {
    if orders.own_session {
        let result = sys!(SYS_setsid);
        if result < 0 {
            return (Stage::Setsid, -result as i32);
        }
    } else {
        sys!(SYS_setpgid, 0, 0);
        if orders.terminal >= 0 {
            let group = sys!(SYS_getpid) as i32;
            // Any error means that there is no terminal to be in the foreground of.
            // SIGTTOU is blocked, so we are not stopped for asking from the background.
            sys!(SYS_ioctl, orders.terminal, libc::TIOCSPGRP, &raw const group);
        }
    }
    for (target, source) in orders.stdio.iter().enumerate() {
        if *source >= 0 {
            let result = sys!(SYS_dup3, *source, target, 0);
            if result < 0 {
                return (Stage::Dup, -result as i32);
            }
        }
    }
    if orders.fd3 >= 0 {
        // Equal numbers would keep their close-on-exec flag.
        let result = if orders.fd3 == 3 {
            sys!(SYS_fcntl, 3, libc::F_SETFD, 0)
        } else {
            sys!(SYS_dup3, orders.fd3, 3, 0)
        };
        if result < 0 {
            return (Stage::Dup, -result as i32);
        }
    }
    if !orders.nofile.is_null() {
        sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, orders.nofile, 0);
    }
    if !orders.identity.is_null() {
        // SAFETY: not null, so it points to the plan's identity.
        let (uid, gid, _) = unsafe { &*orders.identity };
        let (uid, gid) = (*uid, *gid);
        let result = sys!(SYS_setgroups, orders.group_count, orders.groups);
        if result < 0 {
            return (Stage::Setgroups, -result as i32);
        }
        let result = sys!(SYS_setresgid, gid, gid, gid);
        if result < 0 || sys!(SYS_getegid) as u32 != gid {
            return (Stage::Setgid, if result < 0 { -result as i32 } else { libc::EPERM });
        }
        let result = sys!(SYS_setresuid, uid, uid, uid);
        if result < 0 || sys!(SYS_geteuid) as u32 != uid {
            return (Stage::Setuid, if result < 0 { -result as i32 } else { libc::EPERM });
        }
    }
    // After the change of user: the directory must be open to the one who will be there.
    if !orders.cwd.is_null() {
        let result = sys!(SYS_chdir, orders.cwd);
        if result < 0 {
            return (Stage::Chdir, -result as i32);
        }
    }
    if !orders.listen_pid.is_null() {
        write_pid(orders.listen_pid, sys!(SYS_getpid) as u32);
    }
    let mut signal = 1;
    while signal <= 64 {
        if orders.defaults & raw::bit(signal) != 0 {
            raw::set_default(signal);
        }
        signal += 1;
    }
    // A signal that is waiting would now strike in our common memory; one whose action is
    // a core dump would, on old kernels, take us along. So it strikes here, by a report.
    let mut pending = 0_u64;
    sys!(SYS_rt_sigpending, &raw mut pending, 8);
    pending &= !orders.mask;
    pending &= !(raw::bit(libc::SIGCHLD)
        | raw::bit(libc::SIGCONT)
        | raw::bit(libc::SIGURG)
        | raw::bit(libc::SIGWINCH)
        | raw::bit(libc::SIGTSTP)
        | raw::bit(libc::SIGTTIN)
        | raw::bit(libc::SIGTTOU));
    if pending != 0 && orders.own_session {
        return (Stage::Killed, pending.trailing_zeros() as i32 + 1);
    }
    sys!(SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const orders.mask, 0, 8);
    (Stage::Execve, execute(orders))
}

/// As execvp(3) does it: goes on over what is not there, remembers what may not be, and
/// gives a file without a known format to the shell. Comes back with the errno.
#[inline(always)]
fn execute(orders: &Orders) -> i32 {
    if orders.exec_fd >= 0 {
        let empty = c"".as_ptr();
        let flags = libc::AT_EMPTY_PATH;
        return -sys!(SYS_execveat, orders.exec_fd, empty, orders.argv, orders.envp, flags) as i32;
    }
    let mut refused = libc::ENOENT;
    let mut next = orders.candidates;
    loop {
        // SAFETY: the list ends with a null pointer, at which we stop.
        let path = unsafe { *next };
        if path.is_null() {
            return refused;
        }
        let errno = -sys!(SYS_execve, path, orders.argv, orders.envp) as i32;
        match errno {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => refused = libc::EACCES,
            libc::ENOEXEC => {
                // SAFETY: `shell_argv` has two places before the arguments, and is ours alone.
                unsafe { *orders.shell_argv.add(1) = path };
                let shell = c"/bin/sh".as_ptr();
                sys!(SYS_execve, shell, orders.shell_argv, orders.envp);
                return libc::ENOEXEC;
            }
            other => return other,
        }
        // SAFETY: this was not the last one, so there is a next.
        next = unsafe { next.add(1) };
    }
}

/// Fills in the digits after `LISTEN_PID=`. No leading zero: some read those as octal.
#[inline(always)]
fn write_pid(buffer: *mut u8, pid: u32) {
    let mut power = 1_000_000_000_u32;
    let mut place = LISTEN_PID.len();
    while power > 0 {
        if pid >= power || power == 1 {
            // SAFETY: at most ten digits and the final zero fit behind the name.
            unsafe { *buffer.add(place) = b'0' + ((pid / power) % 10) as u8 };
            place += 1;
        }
        power /= 10;
    }
    // SAFETY: as above.
    unsafe { *buffer.add(place) = 0 };
}

/// An open file that is ours to execute: the very executable that is running, even when
/// its path now leads elsewhere or nowhere.
pub(super) fn own_executable() -> Option<OwnedFd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: asks for the auxiliary vector's entry; 0 if there is none.
    let started_as = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    for path in [c"/proc/self/exe".as_ptr(), started_as] {
        if path.is_null() {
            continue;
        }
        // SAFETY: both are null-terminated strings that live as long as the process.
        let fd = unsafe { libc::open(path, flags) };
        if fd >= 0 {
            // SAFETY: just opened, known to nobody else.
            let low = unsafe { OwnedFd::from_raw_fd(fd) };
            // Out of the way of the descriptors that a child is given by number.
            let high = fcntl(&low, FcntlArg::F_DUPFD_CLOEXEC(10)).ok()?;
            // SAFETY: likewise.
            return Some(unsafe { OwnedFd::from_raw_fd(high) });
        }
    }
    None
}
