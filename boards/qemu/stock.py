# The emulated board as it would be bought: MicroPython, and nothing of the firmware frozen.

freeze("boot", opt=2)
