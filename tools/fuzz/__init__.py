"""``make fuzz``: odd, broken and hostile input for everything that reads.

Each target has two halves: here, what makes its cases and what is known about the right outcome;
in ``device/``, a module ``fuzz_NAME`` whose ``run(case)`` gives them to the firmware inside the
32-bit runtime and says what came of it. A case fails if an exception comes out that is not one of
the documented ones, if it takes too long, if the runtime dies, if the heap grows, or if the
outcome is not the right one where that is known.

mutate.py   what is done to a right document        record.py   right documents, from the cloud
oracle.py   what CPython says of a document         targets.py  the targets
run.py      runs cases, keeps those that fail under build/fuzz
"""
