"""Pages of the documentation that are written by what they describe."""
