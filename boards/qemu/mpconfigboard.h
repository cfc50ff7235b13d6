// What the emulated board has more than MicroPython's qemu port.

#include "mpconfigport.h"

#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "modules/board/clock.c"

#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)

#undef MICROPY_PY_MACHINE_INCLUDEFILE
#define MICROPY_PY_MACHINE_INCLUDEFILE "modules/board/machine.c"

#define MICROPY_KBD_EXCEPTION (1)
#define MICROPY_GC_SPLIT_HEAP (1)

// Ctrl-C is looked for at every jump back and every return of bytecode.
#define MICROPY_VM_HOOK_LOOP board_poll();
#define MICROPY_VM_HOOK_RETURN board_poll();
#define MICROPY_INTERNAL_EVENT_HOOK board_poll()

// Runs boot.py and main.py as boards do; the port's own main() goes straight to the prompt.
#define MICROPY_PORT_INIT_FUNC board_boot()

void board_poll(void);
void board_boot(void);
