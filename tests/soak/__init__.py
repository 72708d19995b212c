"""A soak: real processes under steady traffic, and whether anything of them only grows."""
