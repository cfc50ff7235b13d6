"""What outlives a reset: files on the board's flash."""
