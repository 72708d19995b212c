"""Many tasks through many `kill -9` of every part: what was acknowledged is done."""
