//! System calls without the C library, for the few places where it stands in the way:
//! a child that still shares our memory must not touch `errno`, and musl hides the
//! real-time signals 32 to 34.
#![allow(unsafe_code, reason = "system calls that the C library does not offer in this form")]

use std::arch::asm;

/// All 64 signals.
pub(super) const EVERY_SIGNAL: u64 = u64::MAX;

/// The bit of a signal number in a mask; none for a number that is no signal.
pub(super) fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
}

/// One system call; an error comes back as `-errno`.
///
/// # Safety
/// The arguments must be what the system call wants, as syscalls(2) has it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn call(number: libc::c_long, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers only rcx, r11 and memory that the caller vouches for.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// One system call; an error comes back as `-errno`.
///
/// # Safety
/// The arguments must be what the system call wants, as syscalls(2) has it.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) unsafe fn call(number: libc::c_long, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers only x0 and memory that the caller vouches for.
    unsafe {
        asm!("svc 0", in("x8") number as isize, inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3],
            in("x4") args[4], in("x5") args[5], options(nostack));
    }
    result
}

/// The kernel's own `struct sigaction`, which is not the C library's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KernelSigaction {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

/// Sets the mask of blocked signals and gives the one before.
pub(super) fn set_mask(mask: u64) -> u64 {
    let mut old = 0_u64;
    // SAFETY: both point to 8 bytes that live long enough, as the size says.
    unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            [
                libc::SIG_SETMASK as usize,
                (&raw const mask) as usize,
                (&raw mut old) as usize,
                8,
                0,
                0,
            ],
        );
    }
    old
}

/// The signals that are ignored now.
pub(super) fn ignored() -> u64 {
    (1..=64).filter(|signal| disposition(*signal) == libc::SIG_IGN).map(bit).fold(0, |a, b| a | b)
}

fn disposition(signal: i32) -> usize {
    let mut old = KernelSigaction::default();
    // SAFETY: only asks; `old` is the structure that the kernel fills.
    let result = unsafe {
        call(libc::SYS_rt_sigaction, [signal as usize, 0, (&raw mut old) as usize, 8, 0, 0])
    };
    if result == 0 { old.handler } else { libc::SIG_DFL }
}

/// Gives a signal its default action. The kernel refuses for SIGKILL and SIGSTOP, which
/// have no other.
#[inline(always)]
pub(super) fn set_default(signal: i32) {
    let new = KernelSigaction::default();
    // SAFETY: sets SIG_DFL, which has no handler that could run.
    unsafe {
        call(libc::SYS_rt_sigaction, [signal as usize, (&raw const new) as usize, 0, 8, 0, 0]);
    }
}

/// A descriptor that reads the signals of `mask`, close-on-exec and non-blocking.
pub(super) fn signalfd(mask: u64) -> Result<i32, i32> {
    let flags = (libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) as usize;
    // SAFETY: the mask is 8 bytes, as the size says.
    let result = unsafe {
        call(libc::SYS_signalfd4, [usize::MAX, (&raw const mask) as usize, 8, flags, 0, 0])
    };
    i32::try_from(result)
        .map_err(|_| libc::EINVAL)
        .and_then(|fd| if fd < 0 { Err(-fd) } else { Ok(fd) })
}

/// Hands on a queued signal with the value its sender gave it (sigqueue(3)).
pub(super) fn queue_signal(pid: i32, signal: i32, info: &libc::siginfo_t) -> Result<(), i32> {
    // SAFETY: `info` is a whole siginfo_t; the kernel only reads it.
    let result = unsafe {
        call(
            libc::SYS_rt_sigqueueinfo,
            [pid as usize, signal as usize, std::ptr::from_ref(info) as usize, 0, 0, 0],
        )
    };
    if result == 0 { Ok(()) } else { Err(i32::try_from(-result).unwrap_or(libc::EINVAL)) }
}
