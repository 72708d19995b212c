"""Tries to break Penstock's promises: traffic, faults, a recorded history, and a checker."""
