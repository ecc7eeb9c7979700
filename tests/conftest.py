"""Programs written for other libraries: `test_sklearn.py`, `test_textbook.py` and others run them."""

collect_ignore = ["programs"]
