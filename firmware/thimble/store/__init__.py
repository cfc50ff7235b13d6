"""What survives a reset, in files on the board's flash."""
