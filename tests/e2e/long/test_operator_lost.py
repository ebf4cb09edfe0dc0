"""An operator that was lost with its Lease and installed anew still recovers a database in full."""

import time
from concurrent.futures import ThreadPoolExecutor

from lab import images, install
from lab.install import RELEASE, Site
from lab.kubectl import discard
from tests.support.client import Client
from tests.support.cloud import Cloud

RECOVERED_SECONDS = 300


def test_a_database_that_was_killed_meanwhile_comes_back_whole(site: Site, cloud: Cloud) -> None:
    cloud.wait_ready()
    client = Client(cloud)
    client.start()
    members = cloud.members("mariadb")
    # A few leaders, so that the new Lease begins below what members have obeyed.
    for _ in range(2):
        site.system.run("rollout", "restart", "deployment", RELEASE)
        install.wait_operator(site, discard)
    site.run_helm("uninstall", RELEASE, "--wait")
    site.system.run("delete", "lease", "--all")
    acknowledged = {row.identity for row in client.rows() if row.acknowledged}
    with ThreadPoolExecutor(max_workers=len(members)) as pool:
        kill = ("pkill", "--signal", "KILL", "--exact", "mariadbd")
        list(pool.map(lambda member: cloud.exec(member, *kill), members))
    gone = time.time()

    install.chart(site, images.plan(), discard)
    client.wait_acknowledged(gone, seconds=RECOVERED_SECONDS)
    cloud.wait_synced(members, RECOVERED_SECONDS)
    cloud.wait_ready()
    lost = {member: acknowledged - client.stored(member) for member in members}
    client.stop()
    assert acknowledged
    assert not any(lost.values()), lost
