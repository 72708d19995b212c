"""Task libraries that people use today, measured beside Penstock: the same store, the same work."""
