//! The program's entry where the toolchain brings none that fits.
//!
//! Debian's wasi-libc has a start file that leaves the constructors to the linker, which then wraps *every* export in
//! "constructors, call, destructors". Each call from Zellij would run them again and grow a table, so that the plugin
//! gets slower for as long as it lives. With this `_start` they run once. The official wasm32-wasip1 toolchain has its
//! own, right one; `cargo xtask build-plugin` sets the cfg only where this one is needed.
//!
//! One difference remains: this calls `main` without Rust's runtime around it, which makes stdout unbuffered when `main`
//! returns. So a frame without a newline at its end must be flushed (see `show`), or it is never seen.

#[expect(unsafe_code, reason = "declares the linker's constructor function")]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[expect(
    unsafe_code,
    reason = "the entry must be exported under the name that Zellij calls"
)]
#[unsafe(no_mangle)]
extern "C" fn _start() {
    #[expect(unsafe_code, reason = "calls the function that the linker makes")]
    // SAFETY: the linker defines it, it takes nothing and returns nothing, and Zellij calls `_start` once, before all else.
    unsafe {
        __wasm_call_ctors();
    }
    crate::main();
}
