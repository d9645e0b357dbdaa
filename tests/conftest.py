"""What every test shares: the same examples in every run of the property tests, none of them against the clock."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")
