// The port's own board, whose name `make flash` knows it by.

#include "boards/ESP32_GENERIC_S3/mpconfigboard.h"

#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "thimble"

// The C stack: an answer over TLS takes 11 of 16 KB on an Arm, and Xtensa's frames are larger.
#define MICROPY_TASK_STACK_SIZE (24 * 1024)
