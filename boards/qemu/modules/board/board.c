// What the emulated board does beyond MicroPython's qemu port: a clock, Ctrl-C, boot.py, main.py.

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"
#include "shared/runtime/pyexec.h"
#include "uart.h"

// One half of the machine's CMSDK dual timer counts down at 25 MHz / 256.
#define TIMER_LOAD (*(volatile uint32_t *)0x40002000)
#define TIMER_VALUE (*(volatile uint32_t *)0x40002004)
#define TIMER_CONTROL (*(volatile uint32_t *)0x40002008)
#define TIMER_ON_32_BIT_BY_256 (0x8a)
#define TICK_NS (10240)

// UART 0's receive interrupt is number 0. It and SysTick, at 1 kHz, end a `wfi` although interrupts
// are off, so no handler is needed.
#define UART_CONTROL (*(volatile uint32_t *)0x40004008)
#define UART_INTCLEAR (*(volatile uint32_t *)0x4000400c)
#define UART_RX_INT_EN (1 << 3)
#define UART_RX_INT (1 << 1)
#define NVIC_ISER (*(volatile uint32_t *)0xe000e100)
#define NVIC_ICPR (*(volatile uint32_t *)0xe000e280)
#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_ON_WITH_INT (7)
#define ICSR (*(volatile uint32_t *)0xe000ed04)
#define ICSR_PENDSTCLR (1 << 25)

// The flash (boot/_boot.py) stands in the first megabyte of the machine's PSRAM of 16 MB.
#define EXTRA_HEAP (0x21100000)

// Characters that came while code ran. What does not fit waits in the UART.
static uint8_t waiting[256];
static uint8_t first, past;
static uint32_t polls;

static uint64_t ticks(void) {
    static uint64_t total;
    static uint32_t last;
    if (TIMER_CONTROL != TIMER_ON_32_BIT_BY_256) {
        TIMER_LOAD = 0xffffffff;
        TIMER_CONTROL = TIMER_ON_32_BIT_BY_256;
    }
    uint32_t now = 0xffffffff - TIMER_VALUE;
    total += (uint32_t)(now - last);
    last = now;
    return total;
}

static void take(void) {
    while ((uint8_t)(past + 1) != first) {
        int c = uart_rx_chr();
        if (c < 0) {
            return;
        }
        if (c == mp_interrupt_char) {
            first = past; // as on a board, what was typed before is gone
            mp_sched_keyboard_interrupt();
        } else {
            waiting[past++] = c;
        }
    }
}

// Sleeps until a character comes or a millisecond has passed; QEMU takes no time meanwhile.
static void rest(void) {
    if (!(UART_CONTROL & UART_RX_INT_EN)) {
        __asm volatile ("cpsid i");
        UART_CONTROL |= UART_RX_INT_EN;
        NVIC_ISER = 1;
        SYST_RVR = 25000 - 1;
        SYST_CSR = SYST_ON_WITH_INT;
    }
    UART_INTCLEAR = UART_RX_INT;
    NVIC_ICPR = 1;
    ICSR = ICSR_PENDSTCLR;
    take();
    if (first == past) {
        __asm volatile ("wfi");
    }
}

void board_poll(void) {
    // The UART is slow to ask; bytecode jumps back often.
    if ((++polls & 0xff) == 0) {
        take();
    }
}

int __wrap_mp_hal_stdin_rx_chr(void) {
    take();
    while (first == past) {
        mp_handle_pending(true);
        rest();
        take();
    }
    return waiting[first++];
}

uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t flags) {
    take();
    return flags & (first == past ? MP_STREAM_POLL_WR : MP_STREAM_POLL_WR | MP_STREAM_POLL_RD);
}

uint64_t mp_hal_time_ns(void) {
    return ticks() * TICK_NS;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return mp_hal_time_ns() / 1000000;
}

mp_uint_t mp_hal_ticks_us(void) {
    return mp_hal_time_ns() / 1000;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return ticks();
}

void mp_hal_delay_us(mp_uint_t us) {
    mp_uint_t start = mp_hal_ticks_us();
    while (mp_hal_ticks_us() - start < us) {
        take();
        mp_handle_pending(true);
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    mp_uint_t start = mp_hal_ticks_ms();
    while (mp_hal_ticks_ms() - start < ms) {
        rest();
        mp_handle_pending(true);
    }
}

void board_boot(void) {
    pyexec_frozen_module("_boot.py", false);
    pyexec_file_if_exists("boot.py");
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        pyexec_file_if_exists("main.py");
    }
}

// emulator.add_heap(size): the heap grows once by size bytes of the memory beyond the flash. Tests
// that need more than a board has call it; a hard reset takes it back.
static mp_obj_t emulator_add_heap(mp_obj_t size) {
    gc_add((void *)EXTRA_HEAP, (void *)(EXTRA_HEAP + mp_obj_get_int(size)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(emulator_add_heap_obj, emulator_add_heap);

static const mp_rom_map_elem_t emulator_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_emulator) },
    { MP_ROM_QSTR(MP_QSTR_add_heap), MP_ROM_PTR(&emulator_add_heap_obj) },
};
static MP_DEFINE_CONST_DICT(emulator_globals, emulator_globals_table);

const mp_obj_module_t emulator_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&emulator_globals,
};
MP_REGISTER_MODULE(MP_QSTR_emulator, emulator_module);
