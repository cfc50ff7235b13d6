"""What survives a reset: the journal, the sessions with their archive, the crash reports."""
