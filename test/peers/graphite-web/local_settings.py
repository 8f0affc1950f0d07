# Settings of a graphite-web that a test runs over a folder of its own: nothing is cached, only what lies on
# disk is read, wrong parameters answer 400. The folder comes in PEER_HOME.
import os

HOME = os.environ['PEER_HOME']
SECRET_KEY = 'only for tests on loopback'
TIME_ZONE = 'UTC'
GRAPHITE_ROOT = '/usr/share/graphite-web'
STATIC_ROOT = '/usr/share/graphite-web/static'
CONF_DIR = STORAGE_DIR = HOME
LOG_DIR = HOME
LOG_ROTATION = False
INDEX_FILE = HOME + '/index'
WHISPER_DIR = HOME + '/whisper'
STANDARD_DIRS = [WHISPER_DIR]
STORAGE_FINDERS = ['graphite.finders.standard.StandardFinder']
# On a slow machine its own 6 s end a benchmark's larger questions.
FETCH_TIMEOUT = 120
FIND_TIMEOUT = 120
CARBONLINK_HOSTS = []
CLUSTER_SERVERS = []
DEFAULT_CACHE_DURATION = 0
CACHES = {'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'}}
ENFORCE_INPUT_VALIDATION = True
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': HOME + '/graphite.db'}}
