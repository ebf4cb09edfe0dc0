"""What nova-manage takes for deleted, and by which commands it removes that."""

from typing import Final

from stackroles.agents.housekeeping.protocol import DeletedRows, Removal

_SHADOW: Final = "shadow_"
_DELETED: Final = "deleted <> 0 AND deleted_at < {before}"
_INSTANCES: Final = f"(SELECT uuid FROM instances WHERE {_DELETED})"  # noqa: S608 - no input
_OF_INSTANCES: Final = f"instance_uuid IN {_INSTANCES}"
_ACTIONS: Final = f"(SELECT id FROM instance_actions WHERE {_OF_INSTANCES})"  # noqa: S608
_SHADOW_ACTIONS: Final = tuple(f"{_SHADOW}instance_actions{suffix}" for suffix in ("", "_events"))


def deleted_rows(*databases: str) -> tuple[DeletedRows, ...]:
    """Return what nova-manage takes for deleted in the cells' databases.

    Of nova/db/main/api.py: `_archive_deleted_rows_for_table`, whose tables are those with a shadow,
    and `purge_shadow_tables`. Actions of an instance are never marked, and go with it.
    """
    return tuple(rows for database in databases for rows in _of_cell(database))


def _of_cell(database: str) -> tuple[DeletedRows, ...]:
    return (
        DeletedRows(database=database, condition=_DELETED, twin=_SHADOW),
        DeletedRows(
            database=database,
            tables=("instance_actions",),
            condition=f"deleted = 0 AND {_OF_INSTANCES}",
        ),
        DeletedRows(
            database=database,
            tables=("instance_actions_events",),
            condition=f"deleted = 0 AND action_id IN {_ACTIONS}",
        ),
        DeletedRows(
            database=database, prefix=_SHADOW, condition="deleted_at < {before}", at_once=True
        ),
        DeletedRows(
            database=database,
            tables=_SHADOW_ACTIONS,
            condition="deleted_at IS NULL AND created_at < {before}",
            at_once=True,
        ),
    )


# A batch is archived, then purged, before the next one: each transaction is of one batch. What was
# archived by hand goes too, once it is old enough.
REMOVALS: Final = (
    Removal(
        words=(
            *("nova-manage", "db", "archive_deleted_rows", "--all-cells", "--verbose"),
            *("--max_rows", "{batch}", "--before", "{before}"),
        ),
        more=(1,),
    ),
    Removal(
        words=("nova-manage", "db", "purge", "--all-cells", "--verbose", "--before", "{before}"),
        # 3: there was nothing.
        good=(0, 3),
    ),
)
