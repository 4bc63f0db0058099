import pathlib

import pytest


def pytest_addoption(parser):
    parser.addoption("--provision", type=pathlib.Path, help="the folder with the workshop's files")


@pytest.fixture(scope="session")
def provision(request):
    return request.config.getoption("--provision")
