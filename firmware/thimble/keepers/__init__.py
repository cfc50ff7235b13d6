"""The keepers beside the way: they decide, and do no work of the way."""
