// The port's own board, whose name `make flash` knows it by.

#include "boards/ESP32_GENERIC_S3/mpconfigboard.h"

#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "thimble"
