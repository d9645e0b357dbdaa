"""What the service itself bears, over its real doors: `make soak`, or small rounds of it in tests/test_soak.py.

    killed         kill -9 of the service under a load of device calls and chat turns, on each store
    full           its file system of 2 MiB gets full under load, and free again
    damaged        a byte of its store is flipped, found, and the last good copy restored
    notifications  10 000 messages to a connector that throttles, fails, drops answers and hangs
    redelivered    10 000 actions, each delivered one to four times, also under new ids
    race           each code at 2 and at 8 instances at once
    clock          the clock of the service is moved, and two instances disagree on it
    away           its database is away for 30 s
    stopped        SIGTERM under load, on each store
    restored       backup and restore while the load goes on

What the store bears below all that is in tests/crash. Each line names the goal of the reliability bar, how often it was
tried, the figure, and whether it was met; a control is an experiment that must miss its goal, so that a miss is known
to be seen. The clients keep a journal (journal.py) of what they were answered: that is what must still be so.
"""
