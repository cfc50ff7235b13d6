# The firmware as frozen modules: include("../thimble.py", board="NAME") takes what is common to
# all boards and board/NAME.py. main.py is not among them: a frozen one would win over the user's
# file for ever. Line numbers go as well as asserts: they are 5 % of the code.

import os

options.defaults(board=None)

files = []
for folder, _, names in os.walk("../firmware/thimble"):
    for name in names:
        path = os.path.relpath(os.path.join(folder, name), "../firmware/thimble")
        kept = ("__init__.py", f"{options.board}.py")
        if name.endswith(".py") and (not path.startswith("board/") or name in kept):
            files.append(path)

package("thimble", files=sorted(files), base_path="../firmware", opt=3)
