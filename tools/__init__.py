"""Programs for the developers of fastnn; run them from the project's folder with `python -m`."""
