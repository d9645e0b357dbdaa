"""What every test shares: how many examples the property tests try."""

from tests import profiles

profiles.load()
