# MicroPython's own RPI_PICO_W, of whatever version is built, with Thimble frozen.

include(${MICROPY_PORT_DIR}/boards/RPI_PICO_W/mpconfigboard.cmake)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

# A larger C stack, see there.
list(APPEND MICROPY_SOURCE_BOARD ${MICROPY_BOARD_DIR}/stack.c)
add_link_options(-Wl,--wrap=gc_init)

# Frozen machine code begins with a word and has constants that are read as words. mpy-tool.py (up
# to 1.29 at least) aligns it to two bytes, and half of it then ends in a Cortex-M0+'s hard fault.
set_source_files_properties(
    ${CMAKE_BINARY_DIR}/frozen_content.c
    PROPERTIES COMPILE_OPTIONS "-Daligned(n)=aligned((n)<4?4:(n))"
)
