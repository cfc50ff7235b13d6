# The frozen modules of the Unix port for tools/frozen.py: what starts the firmware, and that.

include("../thimble.py", port="unix")
module("boot.py", base_path="../../tools", opt=3)
