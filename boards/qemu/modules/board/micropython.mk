SRC_USERMOD_C += $(USERMOD_DIR)/board.c

# The port's own versions neither look ahead for Ctrl-C nor know whether a character waits.
LDFLAGS_USERMOD += -Wl,--wrap=mp_hal_stdin_rx_chr,--wrap=mp_hal_stdio_poll
