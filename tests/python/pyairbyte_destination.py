"""PyAirbyte writes what one executable reads into a destination that is another one.

usage: pyairbyte_destination.py SOURCE CONFIG STREAM DESTINATION CONFIG
"""

import json
import sys

import airbyte as ab

source_path, source_config, stream, destination_path, destination_config = sys.argv[1:]
source = ab.get_source("source-under-test", local_executable=source_path, config=json.loads(source_config))
source.select_streams([stream])
destination = ab.get_destination(
    "destination-under-test", local_executable=destination_path, config=json.loads(destination_config)
)
destination.check()
result = destination.write(source, cache=False, state_cache=False)
print("written", result.processed_records)
