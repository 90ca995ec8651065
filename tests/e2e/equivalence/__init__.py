"""A suite of every kind of test, run serially and overlapped by test_concurrency.py: its files are copied to a project.

Their names keep pytest from collecting them here.
"""
