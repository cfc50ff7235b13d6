"""A relay's house that all tests of a file share, and a cloud whose clock stands still."""

import pytest
from relay_kit import House

from tools.cloud import Cloud


@pytest.fixture
def still():
    """A cloud whose time goes on by `advance` alone."""
    with Cloud(tls=None) as cloud:
        cloud.thread.call(cloud.clock.stop)
        yield cloud


@pytest.fixture(scope="module")
def running(request, tmp_path_factory):
    """A house for the tests of a file, whose ``SETTINGS`` are changes to the configuration."""
    settings = getattr(request.module, "SETTINGS", None)
    with House(tmp_path_factory.mktemp("house"), settings=settings) as house:
        yield house


@pytest.fixture
def house(running):
    """The shared house, with nobody's faults, scripts and calls left over."""
    running.cloud.clear_faults()
    running.cloud.models.clear()
    running.cloud.models.default(mode="echo")
    running.quiet(0)
    running.cloud.clear_calls()
    return running
