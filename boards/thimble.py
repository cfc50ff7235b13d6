# The firmware as frozen modules, for every board. main.py is not among them: a frozen one would
# win over the user's file for ever.

package("thimble", base_path="../firmware", opt=2)
