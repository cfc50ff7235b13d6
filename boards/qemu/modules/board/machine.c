// Included by extmod/modmachine.c: a reset that restarts the machine instead of ending QEMU.

#define AIRCR (*(volatile uint32_t *)0xe000ed0c)
#define AIRCR_SYSRESETREQ (0x05fa0004)

static void mp_machine_idle(void) {
}

static void mp_machine_reset(void) {
    AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

static mp_int_t mp_machine_reset_cause(void) {
    return 0;
}
