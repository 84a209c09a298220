"""Airbyte's standard tests of connector images, over an executable (see `docker` beside this file)."""

from pathlib import Path

from airbyte_cdk.test.standard_tests.docker_base import DockerConnectorTestSuite


class TestConnector(DockerConnectorTestSuite):
    @classmethod
    def get_test_class_dir(cls) -> Path:
        return Path(__file__).parent
