"""What python carbon makes of rules: reads [{schemas, aggregation, names}] as JSON, answers [[retention, aggregation]]."""
import json
import os
import sys
import tempfile

import whisper
from carbon import log, state
from carbon.conf import settings

log.err = log.msg = lambda *words, **more: None
folder = tempfile.TemporaryDirectory()
settings['CONF_DIR'] = folder.name
state.database = whisper
whisper.aggregationMethods = list(whisper.aggregationTypeToMethod.values())

from carbon import storage  # noqa: E402


def of(schemas, name):
    return next(schema for schema in schemas if schema.matches(name))


def answers(case):
    for file, text in (('schemas', case['schemas']), ('aggregation', case['aggregation'])):
        with open(os.path.join(folder.name, f'storage-{file}.conf'), 'w') as out:
            out.write(text)
    retentions = storage.loadStorageSchemas()
    aggregations = storage.loadAggregationSchemas()
    for name in case['names']:
        kept, made = of(retentions, name), of(aggregations, name)
        archives = sorted(archive.getTuple() for archive in kept.archives)
        factor, method = made.archives
        factor = 0.5 if factor is None else factor
        yield [kept.name, archives, made.name, method or 'average', factor]


json.dump([list(answers(case)) for case in json.load(sys.stdin)], sys.stdout)
