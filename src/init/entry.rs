//! The first instructions of the program: every signal is blocked before the C library starts.
//!
//! The kernel drops a signal whose action is the default when it is sent to PID 1, and the C library's own start (a static glibc relocates
//! itself there) takes long enough to lose a SIGTERM. So the ELF entry point is a stub of ours: it blocks everything, keeps the mask that
//! was in force, and jumps to the C library's `_start`. A signal that comes later stays pending until [`super::signals`] takes it.

#![expect(
    unsafe_code,
    reason = "the entry point is assembly, and keeps what it saved in a symbol of its own"
)]

use std::sync::OnceLock;

use super::signals::Set;

// The registers and the stack are handed on as the kernel (or the dynamic loader) set them up: `_start` finds its argument vector at the
// stack pointer and the loader's exit function in rdx or x0. Both sets live where they are touched anyway: the constant beside the code.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.pillion_entry,\"ax\",@progbits",
    ".globl pillion_entry",
    ".hidden pillion_entry",
    ".type pillion_entry,@function",
    "pillion_entry:",
    "mov r8, rdx",
    "mov eax, 14", // rt_sigprocmask
    "mov edi, 2",  // SIG_SETMASK
    "lea rsi, [rip + pillion_entry_all]",
    "lea rdx, [rip + pillion_entry_mask]",
    "mov r10d, 8",
    "syscall",
    "mov qword ptr [rip + pillion_entry_mask + 8], 1",
    "mov rdx, r8",
    "jmp _start",
    ".balign 8",
    "pillion_entry_all: .quad 0xffffffffffffffff",
    ".size pillion_entry, . - pillion_entry",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.pillion_entry,\"ax\",@progbits",
    ".globl pillion_entry",
    ".hidden pillion_entry",
    ".type pillion_entry,@function",
    ".balign 8",
    "pillion_entry:",
    "mov x9, x0",
    "mov x8, #135", // rt_sigprocmask
    "mov x0, #2",   // SIG_SETMASK
    "adr x1, pillion_entry_all",
    "adrp x2, pillion_entry_mask",
    "add x2, x2, :lo12:pillion_entry_mask",
    "mov x10, x2",
    "mov x3, #8",
    "svc #0",
    "mov x1, #1",
    "str x1, [x10, #8]",
    "mov x0, x9",
    "b _start",
    ".balign 8",
    "pillion_entry_all: .quad 0xffffffffffffffff",
    ".size pillion_entry, . - pillion_entry",
    ".popsection",
);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
std::arch::global_asm!(
    ".pushsection .bss.pillion_entry,\"aw\",@nobits",
    ".globl pillion_entry_mask",
    ".hidden pillion_entry_mask",
    ".balign 16",
    "pillion_entry_mask: .skip 16",
    ".popsection",
);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod stub {
    unsafe extern "C" {
        /// The mask that the program was started with, and 1 once it has been saved.
        static pillion_entry_mask: [u64; 2];
    }

    /// The mask that the stub saved, where it was the entry point (it is not in a test binary).
    pub(super) fn saved() -> Option<u64> {
        // SAFETY: the symbol is defined above with this size, and only the stub writes it, before any code of Rust runs.
        let [mask, is_saved] = unsafe { pillion_entry_mask };
        (is_saved == 1).then_some(mask)
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod stub {
    /// There is no stub for this processor: the mask is taken over in `main`.
    pub(super) fn saved() -> Option<u64> {
        None
    }
}

/// Blocks every signal for this thread, and so for the threads that it starts. Returns the mask that the program was started with: the
/// same at every call.
pub(super) fn block_all() -> Set {
    static INHERITED: OnceLock<Set> = OnceLock::new();
    *INHERITED.get_or_init(|| stub::saved().map_or_else(|| Set::ALL.block(), Set::of_bits))
}
