"""The firmware's sources without machine code, for a MicroPython that has no native code for its
machine, as on 64-bit ARM: what is viper or native elsewhere becomes bytecode.

Lines keep their numbers, so tracebacks fit the sources.
"""

from __future__ import annotations

import ast

POINTERS = "; from pointers import ptr8, ptr16, ptr32"


def source(text: str) -> str:
    """``text``, a module's source, as plain Python. Viper's pointers are those of pointers.py; to
    an argument that is declared as one they are applied behind the docstring."""
    lines = text.split("\n")
    module = ast.parse(text)
    for node in ast.walk(module):
        for decorator in getattr(node, "decorator_list", ()):
            name = ast.unparse(decorator)
            if name in ("micropython.viper", "micropython.native"):
                lines[decorator.lineno - 1] = ""
            if name == "micropython.viper":
                lines[node.body[0].end_lineno - 1] += "".join(
                    f"; {arg.arg} = {ast.unparse(arg.annotation)}({arg.arg})"
                    for arg in node.args.args
                    if arg.annotation and ast.unparse(arg.annotation).startswith("ptr")
                )
    if "@micropython.viper" in text:
        lines[module.body[0].end_lineno - 1] += POINTERS
    return "\n".join(lines)
