"""How many files and connections this process may hold open."""

import resource


def allow_all_open_files() -> int:
    """Take as many as the system grants, which is told.

    Shells hand down 1024, for programs that use select(). Every agent keeps one connection open between its batches.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
