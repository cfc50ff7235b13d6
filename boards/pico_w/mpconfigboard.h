// The port's own board, whose name `make flash` knows it by.

#include "boards/RPI_PICO_W/mpconfigboard.h"

#undef MICROPY_PY_NETWORK_HOSTNAME_DEFAULT
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "thimble"
