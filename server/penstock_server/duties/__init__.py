"""What the server does unasked, one duty a file, each with a `run_once`."""
