"""The use cases, a file per feature noun: authorise · load · decide · save · return."""

from provisioning.service.burnups import BurnUps
from provisioning.service.commanding import Commanding
from provisioning.service.devices import Devices
from provisioning.service.exporting import Exporting
from provisioning.service.groups import Groups
from provisioning.service.installing import Installing
from provisioning.service.keyholding import KeyHolding
from provisioning.service.ledger import Auditing
from provisioning.service.offline import Offline
from provisioning.service.outbox import Outbox
from provisioning.service.planning import Planning
from provisioning.service.problems import Problems
from provisioning.service.queue import SignInQueue
from provisioning.service.rehearsing import Rehearsing
from provisioning.service.resetting import Resetting
from provisioning.service.streaming import Streaming
from provisioning.service.unit import Policy
from provisioning.service.webhooks import Webhooks
from provisioning.service.working import Working

__all__ = ["Policy", "Provisioning"]


class Provisioning(
    Resetting,
    Devices,
    Working,
    Exporting,
    Offline,
    Installing,
    Problems,
    Outbox,
    Planning,
    BurnUps,
    Rehearsing,
    SignInQueue,
    Commanding,
    Auditing,
    Webhooks,
    Streaming,
    Groups,
    KeyHolding,
):
    """Everything the product can do; the doors call nothing else."""
