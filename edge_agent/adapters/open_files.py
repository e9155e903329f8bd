"""How many files and connections this process may hold open."""

import resource


def allow_all_open_files() -> int:
    """Take as many as the system grants, which is told.

    Shells hand down 1024, for programs that use select(). Guests and tills are served by one process, so a thousand
    phones that leave a connection behind would keep the till out.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
