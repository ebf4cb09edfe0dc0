"""One connection per cloud, kept between passes."""

from stackroles.config.cloud import Cloud
from stackroles.openstack.access import CloudAccess, administrator


class Clouds:
    """Access to the APIs of the clouds this operator runs, as their administrators."""

    def __init__(self) -> None:
        self._known: dict[str, CloudAccess] = {}

    def access(self, cloud: Cloud, password: str) -> CloudAccess:
        """Return access to a cloud; the same one until its address or password changes.

        Args:
            cloud: the cloud.
            password: key `password` of the Secret `<cloud>-admin`.
        """
        credentials = administrator(cloud, password)
        known = self._known.get(cloud.uid)
        if known is None or known.credentials != credentials:
            known = self._known[cloud.uid] = CloudAccess(credentials)
        return known

    def forget(self, uid: str) -> None:
        """Drop the access to a cloud that is gone."""
        self._known.pop(uid, None)
