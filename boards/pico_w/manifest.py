# What the port freezes on a Pico W, and Thimble.

include("$(PORT_DIR)/boards/RPI_PICO_W/manifest.py")
require("umqtt.simple")
include("../thimble.py", port="rp2")
