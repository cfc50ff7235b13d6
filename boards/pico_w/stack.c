// A C stack of 20 KB instead of the port's 8: while an answer streams, the relay's calls with TLS
// at their end take 11, a command carried out meanwhile some 2 more, and nothing keeps C code from
// writing on into the heap below.

#include <stdint.h>

#include "py/cstack.h"
#include "py/gc.h"

#define MORE (12288)

extern uint8_t __StackTop, __StackBottom;

void __real_gc_init(void *start, void *end);

// What main() calls, by the linker's --wrap (mpconfigboard.cmake), in gc_init's place: once, and
// after it has told how large the stack is. The heap reaches up to the stack; now it ends sooner.
void __wrap_gc_init(void *start, void *end) {
    mp_cstack_init_with_top(&__StackTop, &__StackTop - &__StackBottom + MORE);
    __real_gc_init(start, (char *)end - MORE);
}
