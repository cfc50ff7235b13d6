# The emulated board's frozen modules: its own boot and the firmware.

freeze("boot", opt=2)
include("../thimble.py")
