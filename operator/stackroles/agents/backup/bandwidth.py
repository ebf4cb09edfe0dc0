"""How much of the way to a repository a program may use, in MiB a second."""

from collections.abc import Mapping

# In the environment beside the repository's address and key: restic itself reads no limit there.
UPLOAD_LIMIT, DOWNLOAD_LIMIT = "REPOSITORY_UPLOAD_MEBIBYTES", "REPOSITORY_DOWNLOAD_MEBIBYTES"


def bandwidth_options(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return restic's options for the limits that an environment has.

    `--limit-upload` and `--limit-download` are in KiB a second: restic's manual, "Backing up".
    """
    options = (("--limit-upload", UPLOAD_LIMIT), ("--limit-download", DOWNLOAD_LIMIT))
    return tuple(
        f"{option}={int(environment[name]) * 1024}"
        for option, name in options
        if environment.get(name)
    )
