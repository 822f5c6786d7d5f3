// void emu_fibre_switch(void** save, void* load): leaves the stack that it is called on at *save and goes on at `load`.
// A new fibre's stack (fibres.cpp) looks as if it had been left this way.
#if defined(__x86_64__)
    .text
    .globl emu_fibre_switch
    .hidden emu_fibre_switch
    .type emu_fibre_switch, @function
emu_fibre_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size emu_fibre_switch, .-emu_fibre_switch
#elif defined(__aarch64__)
    .text
    .globl emu_fibre_switch
    .hidden emu_fibre_switch
    .type emu_fibre_switch, %function
emu_fibre_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size emu_fibre_switch, .-emu_fibre_switch
#else
#error "fibre_switch.S knows x86-64 and aarch64"
#endif
    .section .note.GNU-stack, "", %progbits
