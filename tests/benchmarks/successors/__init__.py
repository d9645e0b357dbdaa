"""Echo bots on the SDKs that follow the archived one, each in its leanest form and its own mode without credentials.

They run in an environment of their own (requirements-bench.txt), in processes that count their own time.
"""
