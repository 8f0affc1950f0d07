# Prepares the database and serves graphite-web on a free port of loopback, which it prints, until its standard
# input ends: a test that is killed leaves nothing running.
import os
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref import simple_server

os.environ['DJANGO_SETTINGS_MODULE'] = 'graphite.settings'
os.environ['GRAPHITE_SETTINGS_MODULE'] = 'local_settings'
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# Python 3.11 has lost two functions that graphite-web 1.1 describes its own functions with.
import inspect

if not hasattr(inspect, 'getargspec'):
    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]
    inspect.formatargspec = lambda *spec: '(%s)' % ', '.join(str(part) for part in spec)

from django.core.management import execute_from_command_line

execute_from_command_line(['manage', 'migrate', '--run-syncdb', '-v0'])

from graphite.wsgi import application


class Server(ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class Handler(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass

    def address_string(self):
        return self.client_address[0]



def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
server = simple_server.make_server('127.0.0.1', 0, application, Server, Handler)
print(server.server_port, flush=True)
server.serve_forever()
