"""Asking a language model, over HTTP, in one of two dialects.

A dialect lists the values that it wants from an answer, and what each of them means: one of these.
"""

from micropython import const

SHOWN = const(0)  # text of the answer
REFUSED = const(1)  # text in which the model declines
THOUGHT = const(2)  # reasoning, which is not shown
REASON = const(3)  # why the answer ended
TOKENS_IN = const(4)
TOKENS_OUT = const(5)
EVENT = const(6)  # what kind of event this is
CODE = const(7)  # an error's code or type
SAID = const(8)  # what an error says
TOLD = const(9)  # the same, where it is no sign that there was an error
