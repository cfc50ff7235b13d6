# An emulated Cortex-M3 that behaves like a board: MicroPython's own MPS2_AN385 with a clock, a
# file system, Ctrl-C while code runs, and boot.py and main.py. See modules/board/board.c.

include boards/MPS2_AN385/mpconfigboard.mk

CFLAGS += -I$(BOARD_DIR) -DMP_CONFIGFILE='<mpconfigboard.h>'

LDSCRIPT = $(BOARD_DIR)/memory.ld

# A Pico W's heap.
MICROPY_HEAP_SIZE = 180224
MICROPY_VFS_LFS2 = 1

USER_C_MODULES = $(BOARD_DIR)/modules
