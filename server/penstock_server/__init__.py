"""The Penstock server. Start reading in `app.py`; README.md beside this package maps the rooms."""
