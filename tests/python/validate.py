"""Reads lines from stdin as Airbyte's own models do; counts them by type."""

import collections
import sys

from airbyte_protocol.models import AirbyteMessage

counts = collections.Counter(AirbyteMessage.model_validate_json(line).type.value for line in sys.stdin)
print(dict(sorted(counts.items())))
