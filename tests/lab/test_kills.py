"""The Active is killed under load: what the survivor lacks, key by key. kill_campaign.py does more of it."""
import random

import testing
from kills import campaign

RATE = 150  # new clients a second: each asks twice


def test_kills_acked(checks):
    """No session is missing whose response has reached its client."""
    campaign(checks, "acked", 8, RATE, random.randrange(1 << 32))


def test_kills_async(checks):
    """What is missing is in the window."""
    campaign(checks, "async", 3, RATE, random.randrange(1 << 32))


if __name__ == "__main__":
    testing.main(globals())
