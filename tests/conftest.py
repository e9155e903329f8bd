"""How every test runs: properties are judged by what they find, never by how fast a shared machine finds it."""

from hypothesis import settings

# Hypothesis fails an example that takes over 200 ms, which a busy machine does to a right one. All else stays as it is,
# so that CI goes on drawing the same examples each time.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")
