# The firmware as frozen modules: include("../thimble.py", port="NAME") takes what is common to
# all boards and, of board/, what belongs to the port NAME. main.py is not among them: a frozen one
# would win over the user's file for ever. Line numbers go as well as asserts: they are 5 % of the
# code.

import os

options.defaults(port=None)

others = {"esp32.py", "rp2.py", "unix.py"} - {f"{options.port}.py"}
if options.port not in ("esp32", "unix"):
    others.add("larger.py")
files = []
for folder, _, names in os.walk("../firmware/thimble"):
    for name in names:
        path = os.path.relpath(os.path.join(folder, name), "../firmware/thimble")
        if name.endswith(".py") and not (path.startswith("board/") and name in others):
            files.append(path)

package("thimble", files=sorted(files), base_path="../firmware", opt=3)
