"""How the operator asks a member to leave its cluster for good, whatever it is a member of.

The annotation of the member's pod, whose value is the pod's uid, is the request. The agent obeys
only when its own settings no longer count it among the members, so that a request that outlived its
cause takes away nobody who is wanted.
"""

from typing import Final

LEAVE_ANNOTATION: Final = "stackroles.io/leave-cluster"
