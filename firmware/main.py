"""Starts Thimble on a board whose image does not have it frozen."""

import thimble

thimble.run()
