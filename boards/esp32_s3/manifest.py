# What the port freezes on every board, and Thimble.

include("$(PORT_DIR)/boards/manifest.py")
require("umqtt.simple")
include("../thimble.py", port="esp32")
