"""Asking a language model, over HTTP, in one of two dialects.

A dialect's WANTED lists the values that it wants from an answer: paths, behind a digit that says
what they mean.

    0  text of the answer
    1  text in which the model declines
    2  reasoning, which is not shown
    3  why the answer ended
    4  tokens of the prompt, 5  of the answer
    6  what kind of event this is
    7  an error's code or type
    8  what an error says, 9  the same, where it is no sign that there was an error
"""
