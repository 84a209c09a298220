"""PyAirbyte reads a source that is an executable: check, discover, read into its cache, and again.

usage: pyairbyte_source.py EXECUTABLE CONFIG STREAM RECORDS
"""

import json
import sys

import airbyte as ab

executable, config, stream, records = sys.argv[1:]
source = ab.get_source("source-under-test", local_executable=executable, config=json.loads(config))
source.check()
assert stream in source.get_available_streams(), source.get_available_streams()
source.select_streams([stream])
cache = ab.new_local_cache("first", cache_dir="./cache")

first = source.read(cache=cache)
assert first.processed_records == int(records), first.processed_records
rows = list(first[stream])
assert len(rows) == int(records), len(rows)

# The state of the first read comes back as PyAirbyte keeps it: nothing is new.
second = source.read(cache=cache)
assert second.processed_records == 0, second.processed_records
assert len(list(second[stream])) == int(records)
print("read", len(rows))
